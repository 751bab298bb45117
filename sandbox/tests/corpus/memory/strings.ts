// expect: out_of_memory
export default {
  async run(ctx) {
    const held: string[] = [];
    for (let i = 0; ; i++) held.push(`${i}`.padStart(10_000, "x"));
  },
};
