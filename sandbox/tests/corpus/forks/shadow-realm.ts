// expect: threw
export default {
  async run(ctx) {
    new (globalThis as any).ShadowRealm().evaluate("1");
  },
};
