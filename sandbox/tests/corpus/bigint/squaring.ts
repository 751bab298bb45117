// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    let n = 3n;
    for (;;) n *= n;
  },
};
