// expect: threw | out_of_memory
export default {
  async run(ctx) {
    return new ArrayBuffer(2 ** 40) as never;
  },
};
