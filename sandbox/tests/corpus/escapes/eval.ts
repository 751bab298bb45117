// expect: threw; says: eval
export default {
  async run(ctx) {
    (0, eval)("1");
  },
};
