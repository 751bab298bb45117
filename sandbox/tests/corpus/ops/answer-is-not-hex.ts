// expect: threw; line: 4; answer: {"a":[1]}
export default {
  async run(ctx) {
    await ctx.chain(31337).getBlockNumber();
  },
};
