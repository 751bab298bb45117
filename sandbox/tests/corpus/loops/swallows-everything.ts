// expect: timed_out
export default {
  async run(ctx) {
    for (;;) {
      try {
        throw new Error("again");
      } catch {
        continue;
      }
    }
  },
};
