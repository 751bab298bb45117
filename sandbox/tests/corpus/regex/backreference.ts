// expect: timed_out
export default {
  async run(ctx) {
    /^(.*)(.*)(.*)(.*)(.*)(.*)\1\2\3\4\5\6x$/.test("a".repeat(2_000));
  },
};
