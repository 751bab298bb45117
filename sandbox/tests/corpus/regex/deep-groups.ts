// expect: threw
export default {
  async run(ctx) {
    new RegExp("(".repeat(100_000) + ")".repeat(100_000)).test("");
  },
};
