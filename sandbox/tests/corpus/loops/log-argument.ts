// expect: timed_out
export default {
  async run(ctx) {
    ctx.log({ toJSON() { for (;;) {} } });
  },
};
