// expect: timed_out
export default {
  async run(ctx) {
    /(\p{L}+\p{L}+)+\d/uy.test("é".repeat(64));
  },
};
