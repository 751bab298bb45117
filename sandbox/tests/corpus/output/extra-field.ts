// expect: bad_output; says: calls[0].gas
export default {
  async run(ctx) {
    return [{ to: ctx.account, gas: 1n }] as never;
  },
};
