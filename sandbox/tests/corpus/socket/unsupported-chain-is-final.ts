// expect: unsupported_chain
export default {
  async run(ctx) {
    try {
      ctx.chain(5);
    } catch {}
    return [{ to: ctx.account }];
  },
};
