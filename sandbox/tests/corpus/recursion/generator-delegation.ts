// expect: threw; says: stack
export default {
  async run(ctx) {
    function* down(): Generator {
      yield* down();
    }
    down().next();
  },
};
