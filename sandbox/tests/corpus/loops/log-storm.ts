// expect: timed_out
export default {
  async run(ctx) {
    for (;;) ctx.log("x");
  },
};
