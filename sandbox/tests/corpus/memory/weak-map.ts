// expect: out_of_memory
export default {
  async run(ctx) {
    const held = new WeakMap();
    const keys: object[] = [];
    for (;;) {
      const key = {};
      keys.push(key);
      held.set(key, new Array(100).fill(key));
    }
  },
};
