// expect: out_of_memory
export default {
  async run(ctx) {
    Object.groupBy(Array.from({ length: 1 << 20 }, (_, i) => i), (i) => `group ${i}`);
  },
};
