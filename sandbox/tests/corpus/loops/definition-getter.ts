// expect: timed_out
export default {
  async run(ctx) {
    // `run` itself was only the first read of this property.
    return new Proxy([], { get() { for (;;) {} } });
  },
};
