// expect: out_of_memory
export default {
  async run(ctx) {
    "x".repeat(1 << 24).split("");
  },
};
