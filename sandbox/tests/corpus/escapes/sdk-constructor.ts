// expect: threw; says: code from strings
export default {
  async run(ctx) {
    ctx.log.constructor("return 1")();
  },
};
