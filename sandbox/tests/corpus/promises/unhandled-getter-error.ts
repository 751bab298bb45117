// expect: threw; says: nobody handled
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "message", { get() { throw new Error("y"); } });
    Promise.reject(error);
  },
};
