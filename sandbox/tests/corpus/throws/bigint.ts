// expect: threw; says: threw 5n
export default {
  async run(ctx) {
    throw 5n;
  },
};
