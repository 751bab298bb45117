// expect: bad_output | calls
export default {
  async run(ctx) {
    let n = 0;
    return [{ to: ctx.account, get data() { return n++ ? "0x123" : "0x12"; } }] as never;
  },
};
