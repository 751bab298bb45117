// expect: bad_output
export default {
  async run(ctx) {
    return { length: Infinity, 0: { to: ctx.account } } as never;
  },
};
