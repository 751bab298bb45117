// expect: threw; says: stack
export default {
  async run(ctx) {
    const o = { get x(): number { return this.x + 1; } };
    ctx.log(o.x);
  },
};
