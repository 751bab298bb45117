// expect: threw
export default {
  async run(ctx) {
    Object.defineProperty(Error, Symbol.hasInstance, { value() { throw new Error("y"); } });
    throw new Error("x");
  },
};
