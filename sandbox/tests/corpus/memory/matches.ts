// expect: out_of_memory
export default {
  async run(ctx) {
    [..."a".repeat(1 << 22).matchAll(/a/g)];
  },
};
