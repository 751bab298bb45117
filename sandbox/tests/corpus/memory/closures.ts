// expect: out_of_memory
export default {
  async run(ctx) {
    const held: unknown[] = [];
    for (let i = 0; ; i++) held.push(() => [i, held]);
  },
};
