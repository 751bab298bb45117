// expect: out_of_memory
export default {
  async run(ctx) {
    const held: symbol[] = [];
    for (let i = 0; ; i++) held.push(Symbol(`s${i}`));
  },
};
