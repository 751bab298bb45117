// expect: threw | out_of_memory
export default {
  async run(ctx) {
    "x".repeat(2 ** 29).padEnd(2 ** 30).split("");
  },
};
