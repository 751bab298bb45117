// expect: timed_out
export default {
  async run(ctx) {
    const data = new Float64Array(1 << 21);
    for (;;) data.sort();
  },
};
