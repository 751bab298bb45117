// expect: threw
export default {
  async run(ctx) {
    // The driver fills arrays: their elements must not run an author's setter.
    Object.defineProperty(Array.prototype, "0", { set() { throw new Error("set"); }, get() { return ["0x", "f", "0x"]; }, configurable: true });
    return [{ to: ctx.account }];
  },
};
