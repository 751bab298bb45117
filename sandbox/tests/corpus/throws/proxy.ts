// expect: threw; says: cannot be shown
export default {
  async run(ctx) {
    throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } });
  },
};
