// expect: timed_out
export default {
  async run(ctx) {
    // A termination that runs `finally` blocks would never end.
    outer: for (;;) {
      try {
        for (;;) {}
      } finally {
        continue outer;
      }
    }
  },
};
