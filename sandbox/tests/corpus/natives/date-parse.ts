// expect: timed_out
export default {
  async run(ctx) {
    const text = "1".repeat(1 << 20);
    for (;;) Date.parse(text);
  },
};
