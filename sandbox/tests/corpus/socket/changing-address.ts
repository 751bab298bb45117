// expect: threw; says: not an address; answer: "0x1"
export default {
  async run(ctx) {
    // Checked once and used twice would let another text through.
    let asked = 0;
    const address: any = { toString: () => (asked++ ? "x" : ctx.account), toLowerCase: () => "x" };
    await ctx.chain(31337).getBalance(address);
  },
};
