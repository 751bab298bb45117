// expect: threw
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "message", { value: Symbol("s") });
    throw error;
  },
};
