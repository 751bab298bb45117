// expect: timed_out
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "name", { get() { for (;;) {} } });
    throw error;
  },
};
