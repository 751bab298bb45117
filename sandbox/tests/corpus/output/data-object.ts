// expect: bad_output; says: calls[0].data
export default {
  async run(ctx) {
    return [{ to: ctx.account, data: new String("0x") }] as never;
  },
};
