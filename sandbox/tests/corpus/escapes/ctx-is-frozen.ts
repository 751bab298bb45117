// expect: nothing_to_do
export default {
  async run(ctx) {
    const chain = ctx.chain(31337);
    for (const target of [ctx, ctx.args, chain] as any[]) {
      try {
        target.injected = 1;
      } catch {}
      try {
        Object.setPrototypeOf(target, null);
      } catch {}
      if (target.injected !== undefined || Object.getPrototypeOf(target) === null) throw new Error("not frozen");
    }
  },
};
