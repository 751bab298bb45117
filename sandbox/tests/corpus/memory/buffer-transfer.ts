// expect: threw | out_of_memory
export default {
  async run(ctx) {
    let buffer = new ArrayBuffer(1 << 16);
    for (;;) buffer = (buffer as any).transfer(buffer.byteLength * 2);
  },
};
