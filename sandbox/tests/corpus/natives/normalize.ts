// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    const text = "\u0fb2\u0f81".repeat(1 << 20);
    for (;;) text.normalize("NFD");
  },
};
