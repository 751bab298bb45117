// expect: too_many_reads; answer: "0x1"
export default {
  async run(ctx) {
    for (;;) await ctx.chain(31337).getBlockNumber();
  },
};
