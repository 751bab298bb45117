// expect: threw; says: never finished
export default {
  async run(ctx) {
    await Promise.race([]);
  },
};
