// expect: timed_out | threw | out_of_memory
export default {
  async run(ctx) {
    let n = 1n;
    for (let i = 1n; ; i++) n *= i;
  },
};
