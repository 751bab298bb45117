// expect: threw; says: threw undefined
export default {
  async run(ctx) {
    throw undefined;
  },
};
