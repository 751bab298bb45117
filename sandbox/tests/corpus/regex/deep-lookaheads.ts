// expect: threw
export default {
  async run(ctx) {
    new RegExp("(?=".repeat(50_000) + ")".repeat(50_000)).test("");
  },
};
