// expect: timed_out
export default {
  async run(ctx) {
    /^(a+)+$/.test("a".repeat(64) + "b");
  },
};
