// expect: threw; line: 4; says: not a chain id
export default {
  async run(ctx) {
    ctx.chain(1.5);
  },
};
