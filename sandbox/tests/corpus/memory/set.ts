// expect: out_of_memory
export default {
  async run(ctx) {
    const held = new Set();
    for (let i = 0; ; i++) held.add(`key ${i}`);
  },
};
