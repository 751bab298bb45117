// expect: calls
export default {
  async run(ctx) {
    return [{ to: ctx.account, value: 1n, data: "0x01" }];
  },
};
