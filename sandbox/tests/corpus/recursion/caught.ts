// expect: out_of_memory
export default {
  async run(ctx) {
    // How deep it went would differ from build to build.
    const depth = (): number => {
      try {
        return 1 + depth();
      } catch {
        return 1;
      }
    };
    return [{ to: ctx.account, value: BigInt(depth()) }];
  },
};
