// expect: out_of_memory
export default {
  async run(ctx) {
    let held: any = new Set([0]);
    for (let i = 1; ; i *= 2) held = held.union(new Set(Array.from({ length: i }, (_, k) => i + k)));
  },
};
