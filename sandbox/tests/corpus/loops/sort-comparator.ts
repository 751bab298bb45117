// expect: timed_out
export default {
  async run(ctx) {
    [3, 1, 2].sort(() => { for (;;) {} });
  },
};
