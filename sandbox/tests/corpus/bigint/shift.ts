// expect: threw | out_of_memory
export default {
  async run(ctx) {
    1n << (1n << 40n);
  },
};
