// expect: out_of_memory
export default {
  async run(ctx) {
    const held: RegExp[] = [];
    for (let i = 0; ; i++) held.push(new RegExp(`a{${i % 1_000}}`));
  },
};
