// expect: timed_out
export default {
  async run(ctx) {
    Array.prototype.reverse.call({ length: 2 ** 53 - 1 });
  },
};
