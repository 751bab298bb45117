// expect: threw
export default {
  async run(ctx) {
    const go = async (n: number): Promise<number> => go(n + 1).catch(() => n);
    return [{ to: ctx.account, value: BigInt(await go(0)) }];
  },
};
