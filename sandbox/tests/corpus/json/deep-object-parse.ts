// expect: threw; says: stack
export default {
  async run(ctx) {
    JSON.parse("{\"a\":".repeat(200_000) + "1" + "}".repeat(200_000));
  },
};
