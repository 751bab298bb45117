// expect: threw | out_of_memory
export default {
  async run(ctx) {
    Math.max.apply(null, { length: 2 ** 31 } as never);
  },
};
