// expect: timed_out | threw
export default {
  async run(ctx) {
    for (;;) (3n ** 60_000n).toString();
  },
};
