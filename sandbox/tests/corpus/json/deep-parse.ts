// expect: threw; says: stack
export default {
  async run(ctx) {
    JSON.parse("[".repeat(200_000) + "]".repeat(200_000));
  },
};
