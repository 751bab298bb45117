// expect: timed_out
export default {
  async run(ctx) {
    for (;;) (1 / 3).toFixed(100) + (1e300).toString(36);
  },
};
