// expect: out_of_memory
export default {
  async run(ctx) {
    Array.from({ length: 2 ** 31 }, (_, i) => i);
  },
};
