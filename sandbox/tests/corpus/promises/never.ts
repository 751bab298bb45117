// expect: threw; says: never finished
export default {
  async run(ctx) {
    await new Promise(() => {});
  },
};
