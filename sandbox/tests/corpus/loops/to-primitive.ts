// expect: timed_out
export default {
  async run(ctx) {
    ctx.log("" + { [Symbol.toPrimitive]() { for (;;) {} } });
  },
};
