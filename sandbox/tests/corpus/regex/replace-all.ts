// expect: timed_out
export default {
  async run(ctx) {
    const text = "a".repeat(50_000) + "!";
    for (;;) text.replaceAll(/(a*)*b/g, "");
  },
};
