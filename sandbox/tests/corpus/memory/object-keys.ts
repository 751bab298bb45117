// expect: out_of_memory
export default {
  async run(ctx) {
    const held: Record<string, number> = {};
    for (let i = 0; ; i++) held[`key ${i}`] = i;
  },
};
