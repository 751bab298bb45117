// expect: nothing_to_do
export default {
  async run(ctx) {
    ctx.log("\u00e9".repeat(1 << 20));
  },
};
