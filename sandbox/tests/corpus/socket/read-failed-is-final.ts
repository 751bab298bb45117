// expect: read_failed; answer: failed
export default {
  async run(ctx) {
    try {
      await ctx.chain(31337).getBlockNumber();
    } catch {
      return [{ to: ctx.account }];
    }
  },
};
