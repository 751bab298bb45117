// expect: threw; line: 4; says: stack; answer: [300000
export default {
  async run(ctx) {
    await ctx.chain(31337).getBlockNumber();
  },
};
