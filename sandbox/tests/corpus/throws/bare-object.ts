// expect: threw; says: threw {}, which is not an Error
export default {
  async run(ctx) {
    throw Object.create(null);
  },
};
