// expect: threw
export default {
  async run(ctx) {
    (Object.prototype as any).data = "0xdead";
    (Object.prototype as any).value = 7n;
    return [{ to: ctx.account }];
  },
};
