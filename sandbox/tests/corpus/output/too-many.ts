// expect: output_too_large
export default {
  async run(ctx) {
    return Array(1_000_000).fill({ to: ctx.account });
  },
};
