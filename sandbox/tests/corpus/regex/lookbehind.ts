// expect: timed_out
export default {
  async run(ctx) {
    /(?<=b(a+)+)c/.test("a".repeat(64) + "c");
  },
};
