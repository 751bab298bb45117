// expect: out_of_memory
export default {
  async run(ctx) {
    let held = function () {};
    for (;;) held = held.bind(null, 1, 2, 3);
  },
};
