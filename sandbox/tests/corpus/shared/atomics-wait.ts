// expect: threw; line: 4; says: Atomics
export default {
  async run(ctx) {
    Atomics.wait(new Int32Array(new ArrayBuffer(4)), 0, 0);
  },
};
