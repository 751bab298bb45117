// expect: timed_out
export default {
  async run(ctx) {
    Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1);
  },
};
