// expect: out_of_memory
export default {
  async run(ctx) {
    const held: unknown[] = [];
    for (;;) held.push(new Array(1_000).fill(1));
  },
};
