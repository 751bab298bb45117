// expect: out_of_memory
export default {
  async run(ctx) {
    for (;;) Promise.reject(new Error("x"));
  },
};
