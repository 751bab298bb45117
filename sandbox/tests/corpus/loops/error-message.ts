// expect: timed_out
export default {
  async run(ctx) {
    class Slow extends Error {
      get message(): string {
        for (;;) {}
      }
    }
    throw new Slow();
  },
};
