// expect: output_too_large
export default {
  async run(ctx) {
    return [{ to: ctx.account, data: `0x${"00".repeat(1 << 18)}` }];
  },
};
