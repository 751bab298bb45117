// expect: calls
export default {
  async run(ctx) {
    return new Proxy([], { get: (_, key) => (key === "length" ? { valueOf: () => 1e3 } : { to: ctx.account }) }) as never;
  },
};
