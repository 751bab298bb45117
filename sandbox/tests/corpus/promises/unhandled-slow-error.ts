// expect: timed_out
export default {
  async run(ctx) {
    const error = new Error("x");
    Object.defineProperty(error, "message", { get() { for (;;) {} } });
    Promise.reject(error);
  },
};
