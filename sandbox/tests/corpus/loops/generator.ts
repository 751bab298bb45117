// expect: timed_out
export default {
  async run(ctx) {
    function* forever(): Generator<number> {
      for (;;) yield 1;
    }
    let sum = 0;
    for (const one of forever()) sum += one;
  },
};
