// expect: bad_output | timed_out; says: 
export default {
  async run(ctx) {
    return [{ to: ctx.account, value: 1n << 900_000n }];
  },
};
