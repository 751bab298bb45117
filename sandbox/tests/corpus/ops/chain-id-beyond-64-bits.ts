// expect: bad_output; says: not a chain id
export default {
  async run(ctx) {
    ctx.chain(2n ** 64n);
  },
};
