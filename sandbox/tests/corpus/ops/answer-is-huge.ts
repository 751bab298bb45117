// expect: read_failed; answer: *2000000
export default {
  async run(ctx) {
    await ctx.chain(31337).getCode(ctx.account);
  },
};
