// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    const a: number[] = new Array(2 ** 32 - 2);
    a[2 ** 32 - 3] = 1;
    a.sort();
  },
};
