// expect: out_of_memory
export default {
  async run(ctx) {
    const held: object[] = [];
    for (;;) held.push(new Proxy({}, {}));
  },
};
