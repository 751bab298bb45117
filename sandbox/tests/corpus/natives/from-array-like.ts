// expect: threw; line: 4; says: invalid array length
export default {
  async run(ctx) {
    Array.from({ length: 2 ** 53 - 1 });
  },
};
