// expect: threw; says: not an address; answer: "0x1"
export default {
  async run(ctx) {
    await ctx.chain(31337).getBalance(`${ctx.account}","latest` as never);
  },
};
