// expect: timed_out
export default {
  async run(ctx) {
    JSON.parse("[1]", () => { for (;;) {} });
  },
};
