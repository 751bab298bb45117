// expect: threw; says: cannot be shown
export default {
  async run(ctx) {
    throw new Proxy(new Error("x"), { get() { throw new Error("y"); } });
  },
};
