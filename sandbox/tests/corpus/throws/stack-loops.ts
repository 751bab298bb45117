// expect: timed_out
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "stack", { get() { for (;;) {} } });
    throw error;
  },
};
