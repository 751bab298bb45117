// expect: nothing_to_do
export default {
  async run(ctx) {
    // Bytes of the child's own protocol, an end among them.
    ctx.log("\u0006\0\0\0\u0003\u0001\0\0\0\0");
    ctx.log("\0".repeat(1_000));
  },
};
