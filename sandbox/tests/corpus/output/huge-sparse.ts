// expect: output_too_large
export default {
  async run(ctx) {
    const calls: any[] = [];
    calls[2 ** 32 - 2] = { to: ctx.account };
    return calls;
  },
};
