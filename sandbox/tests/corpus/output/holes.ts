// expect: bad_output; says: calls[0]
export default {
  async run(ctx) {
    return new Array(3) as never;
  },
};
