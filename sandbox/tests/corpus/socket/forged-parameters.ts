// expect: threw; says: not 0x hex; answer: "0x1"
export default {
  async run(ctx) {
    await ctx.chain(31337).call({ to: ctx.account, data: `0x00"},{"to":"${ctx.account}` as never });
  },
};
