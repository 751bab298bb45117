// expect: threw; says: not an Error
export default {
  async run(ctx) {
    throw [1, [2, [3]]];
  },
};
