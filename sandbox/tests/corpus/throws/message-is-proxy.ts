// expect: threw
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "message", { value: new Proxy({}, { get() { throw error; } }) });
    throw error;
  },
};
