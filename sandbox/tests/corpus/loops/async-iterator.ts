// expect: timed_out
export default {
  async run(ctx) {
    async function* forever() {
      for (;;) yield 1;
    }
    for await (const one of forever()) void one;
  },
};
