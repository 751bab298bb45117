// expect: threw; says: a symbol
export default {
  async run(ctx) {
    throw Symbol("s");
  },
};
