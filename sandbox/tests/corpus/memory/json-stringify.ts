// expect: threw | out_of_memory
export default {
  async run(ctx) {
    const row = new Array(1_000).fill("x".repeat(1_000));
    JSON.stringify(new Array(1_000).fill(row));
  },
};
