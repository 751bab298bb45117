// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    new Array(2 ** 32 - 1).fill(0);
  },
};
