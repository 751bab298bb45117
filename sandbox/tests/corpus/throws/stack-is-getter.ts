// expect: threw
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "stack", { get() { throw error; } });
    throw error;
  },
};
