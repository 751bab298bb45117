// expect: threw
export default {
  async run(ctx) {
    Object.defineProperty(Promise.prototype, "constructor", { get() { throw new Error("constructor"); } });
    await null;
    return [{ to: ctx.account }];
  },
};
