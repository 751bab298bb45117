// expect: timed_out
export default {
  async run(ctx) {
    Array.prototype.unshift.call({ length: 2 ** 53 - 2 }, 1);
  },
};
