// expect: bad_output | calls
export default {
  async run(ctx) {
    let n = 0;
    return [{ get to() { return n++ ? "0x" : ctx.account; } }] as never;
  },
};
