// expect: calls; answer: reverted
export default {
  async run(ctx) {
    try {
      await ctx.chain(31337).call({ to: ctx.account });
    } catch {
      return [{ to: ctx.account }];
    }
  },
};
