// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    const text = "\u00e9".repeat(1 << 20);
    for (;;) encodeURIComponent(text);
  },
};
