// expect: timed_out
export default {
  async run(ctx) {
    /^(a|a|aa)*$/.test("a".repeat(64) + "b");
  },
};
