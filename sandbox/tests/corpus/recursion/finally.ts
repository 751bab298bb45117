// expect: out_of_memory
export default {
  async run(ctx) {
    let deepest = 0;
    const go = (n: number): never[] => {
      deepest = n;
      try {
        return go(n + 1);
      } finally {
        return [];
      }
    };
    go(0);
    return deepest % 2 ? [{ to: ctx.account }] : [];
  },
};
