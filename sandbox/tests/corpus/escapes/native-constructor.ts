// expect: threw; says: code from strings
export default {
  async run(ctx) {
    Math.max.constructor("return 1")();
  },
};
