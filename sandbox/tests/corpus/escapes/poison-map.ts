// expect: threw
export default {
  async run(ctx) {
    Map.prototype.get = Map.prototype.set = Map.prototype.delete = () => { throw new Error("map"); };
    Set.prototype.has = () => true;
    await ctx.chain(31337).getBlockNumber();
    return [{ to: ctx.account }];
  },
};
