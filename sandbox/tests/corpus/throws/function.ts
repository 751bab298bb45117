// expect: threw; says: a function
export default {
  async run(ctx) {
    throw () => {};
  },
};
