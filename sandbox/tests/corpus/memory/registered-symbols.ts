// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    for (let i = 0; ; i++) Symbol.for(`registered ${i} ${"x".repeat(200)}`);
  },
};
