// expect: timed_out | threw | out_of_memory; wall_ms: 100
export default {
  async run(ctx) {
    BigInt("9".repeat(1 << 22));
  },
};
