// expect: out_of_memory
export default {
  async run(ctx) {
    const held: object[] = [];
    for (let i = 0; ; i++) held.push({ [`a${i}`]: 1, [`b${i}`]: 2 });
  },
};
