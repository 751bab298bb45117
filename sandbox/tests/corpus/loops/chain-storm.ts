// expect: timed_out
export default {
  async run(ctx) {
    for (;;) ctx.chain(31337);
  },
};
