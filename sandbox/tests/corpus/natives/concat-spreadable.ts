// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    [].concat({ length: 2 ** 53 - 1, [Symbol.isConcatSpreadable]: true } as never);
  },
};
