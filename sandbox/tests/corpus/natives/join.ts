// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    new Array(2 ** 32 - 1).join("xxxxxxxxxx");
  },
};
