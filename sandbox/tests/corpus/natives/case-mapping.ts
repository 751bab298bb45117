// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    const text = "\u00df".repeat(1 << 21);
    for (;;) text.toUpperCase();
  },
};
