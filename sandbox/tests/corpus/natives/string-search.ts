// expect: timed_out
export default {
  async run(ctx) {
    const hay = "a".repeat(1 << 22);
    const needle = "a".repeat(1 << 21) + "b";
    for (;;) hay.indexOf(needle);
  },
};
