// expect: out_of_memory
export default {
  async run(ctx) {
    const held = new Map();
    for (let i = 0; ; i++) held.set(i, { i });
  },
};
