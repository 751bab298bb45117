// expect: out_of_memory
export default {
  async run(ctx) {
    const never = new Promise(() => {});
    for (;;) never.then(() => {});
  },
};
