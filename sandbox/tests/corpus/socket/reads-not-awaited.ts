// expect: too_many_reads; answer: "0x1"
export default {
  async run(ctx) {
    const chain = ctx.chain(31337);
    for (;;) chain.getBlockNumber().catch(() => {});
  },
};
