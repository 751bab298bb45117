// expect: bad_output; says: boom
export default {
  async run(ctx) {
    return [{ get to() { throw new Error("boom"); } }] as never;
  },
};
