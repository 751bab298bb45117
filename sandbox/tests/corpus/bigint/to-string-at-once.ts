// expect: timed_out | threw; wall_ms: 100
export default {
  async run(ctx) {
    (1n << 4_000_000n).toString();
  },
};
