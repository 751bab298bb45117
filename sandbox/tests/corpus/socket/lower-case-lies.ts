// expect: threw
export default {
  async run(ctx) {
    // The address is checked, then lowered: by an author's function, if it can be replaced.
    String.prototype.toLowerCase = () => `","method":"eth_sendRawTransaction`;
    await ctx.chain(31337).getBalance(ctx.account).catch(() => {});
  },
};
