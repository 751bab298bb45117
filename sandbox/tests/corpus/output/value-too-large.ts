// expect: bad_output; says: calls[0].value
export default {
  async run(ctx) {
    return [{ to: ctx.account, value: 1n << 256n }];
  },
};
