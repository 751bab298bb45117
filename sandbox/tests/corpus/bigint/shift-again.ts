// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    let n = 1n;
    for (;;) n = (n << 1_000_000n) + 1n;
  },
};
