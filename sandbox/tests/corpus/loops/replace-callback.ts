// expect: timed_out
export default {
  async run(ctx) {
    "a".replace(/a/, () => { for (;;) {} });
  },
};
