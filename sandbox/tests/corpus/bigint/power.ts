// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    7n ** 100_000_000n;
  },
};
