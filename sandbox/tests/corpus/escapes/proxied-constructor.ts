// expect: threw; says: code from strings
export default {
  async run(ctx) {
    new (new Proxy((() => {}).constructor as any, {}))("return 1")();
  },
};
