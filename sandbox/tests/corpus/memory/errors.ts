// expect: out_of_memory
export default {
  async run(ctx) {
    const held: Error[] = [];
    for (let i = 0; ; i++) held.push(new Error(`e${i}`));
  },
};
