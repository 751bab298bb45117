// expect: threw; line: 6; says: CallReverted; answer: reverted
export default {
  async run(ctx: any) {
    const chain = ctx.chain(31337);
    // asked here
    await chain.call({ to: ctx.account });
  },
};
