// expect: out_of_memory
export default {
  async run(ctx) {
    let held: object = {};
    for (;;) held = { held };
  },
};
