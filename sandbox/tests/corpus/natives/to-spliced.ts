// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    Array.prototype.toSpliced.call({ length: 2 ** 32 - 2 }, 0, 0, 1);
  },
};
