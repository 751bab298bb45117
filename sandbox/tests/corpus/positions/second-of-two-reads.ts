// expect: threw; line: 7; says: CallReverted; answer: reverted
export default {
  async run(ctx: any) {
    const chain = ctx.chain(31337);
    await Promise.all([
      null,
      chain.call({ to: ctx.account }),
    ]);
  },
};
