// expect: threw | out_of_memory
export default {
  async run(ctx) {
    const buffer = new ArrayBuffer(8, { maxByteLength: 2 ** 32 - 1 });
    for (let size = 8; ; size *= 2) buffer.resize(size);
  },
};
