// expect: threw; line: 4; answer: "0x
export default {
  async run(ctx) {
    await ctx.chain(31337).getBlockNumber();
  },
};
