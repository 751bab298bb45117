// expect: out_of_memory
export default {
  async run(ctx) {
    let held = [1, 2, 3];
    for (;;) held = held.concat(held);
  },
};
