// expect: timed_out
export default {
  async run(ctx) {
    for (;;) await null;
  },
};
