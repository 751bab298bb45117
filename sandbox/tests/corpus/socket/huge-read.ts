// expect: bad_output; says: parameters exceed; answer: "0x1"
export default {
  async run(ctx) {
    await ctx.chain(31337).call({ to: ctx.account, data: `0x${"00".repeat(100_000)}` });
  },
};
