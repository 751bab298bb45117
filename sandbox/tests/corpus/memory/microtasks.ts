// expect: out_of_memory
export default {
  async run(ctx) {
    for (;;) Promise.resolve().then(() => {});
  },
};
