// expect: timed_out | threw
export default {
  async run(ctx) {
    const n = (1n << 600_000n) - 1n;
    for (;;) void (n / ((1n << 300_000n) - 3n));
  },
};
