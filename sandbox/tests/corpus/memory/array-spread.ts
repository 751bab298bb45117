// expect: out_of_memory
export default {
  async run(ctx) {
    let held = [1, 2, 3, 4];
    for (;;) held = [...held, ...held];
  },
};
