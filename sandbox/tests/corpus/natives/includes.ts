// expect: timed_out
export default {
  async run(ctx) {
    Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 7);
  },
};
