// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    Array.prototype.splice.call({ length: 2 ** 53 - 1 }, 0, 2 ** 53 - 2);
  },
};
