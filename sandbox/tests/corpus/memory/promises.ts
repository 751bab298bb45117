// expect: out_of_memory
export default {
  async run(ctx) {
    const held: unknown[] = [];
    for (;;) held.push(new Promise(() => {}));
  },
};
