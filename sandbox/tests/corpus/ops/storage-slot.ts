// expect: threw; says: not a storage slot
export default {
  async run(ctx) {
    await ctx.chain(31337).getStorageAt({ address: ctx.account, slot: 1n << 256n } as never);
  },
};
