// expect: bad_output; says: calls[0].value
export default {
  async run(ctx) {
    return [{ to: ctx.account, value: Object(1n) }] as never;
  },
};
