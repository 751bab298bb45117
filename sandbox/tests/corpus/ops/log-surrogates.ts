// expect: nothing_to_do
export default {
  async run(ctx) {
    ctx.log("\ud800", "\udfff\0\x1b[2J", "\u2028");
  },
};
