// expect: threw; says: stack
export default {
  async run(ctx) {
    const o: any = { toString() { return `${this}`; } };
    ctx.log(`${o}`);
  },
};
