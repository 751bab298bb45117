// expect: out_of_memory
export default {
  async run(ctx) {
    function* one() {
      yield new Array(100).fill(0);
    }
    const held: unknown[] = [];
    for (;;) {
      const generator = one();
      generator.next();
      held.push(generator);
    }
  },
};
