// expect: threw
export default {
  async run(ctx) {
    Promise.prototype.then = function () { return new Promise(() => {}); } as never;
    return [{ to: ctx.account }];
  },
};
