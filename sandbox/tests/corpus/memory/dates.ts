// expect: out_of_memory
export default {
  async run(ctx) {
    const held: Date[] = [];
    for (;;) held.push(new Date());
  },
};
