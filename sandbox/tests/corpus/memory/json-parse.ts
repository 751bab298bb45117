// expect: out_of_memory
export default {
  async run(ctx) {
    JSON.parse("[" + "1,".repeat(8_000_000) + "1]");
  },
};
