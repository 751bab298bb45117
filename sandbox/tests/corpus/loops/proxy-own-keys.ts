// expect: timed_out
export default {
  async run(ctx) {
    return [new Proxy({}, { ownKeys() { for (;;) {} } })];
  },
};
