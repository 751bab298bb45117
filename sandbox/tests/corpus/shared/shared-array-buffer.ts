// expect: threw; line: 4; says: SharedArrayBuffer
export default {
  async run(ctx) {
    return new SharedArrayBuffer(1 << 30) as never;
  },
};
