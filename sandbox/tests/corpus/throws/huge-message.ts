// expect: threw; says: xxx
export default {
  async run(ctx) {
    throw new Error("x".repeat(1 << 20));
  },
};
