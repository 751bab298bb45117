// expect: timed_out; answer: never
export default {
  async run(ctx) {
    await ctx.chain(31337).getBlockNumber();
  },
};
