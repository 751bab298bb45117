// expect: threw; says: stack
export default {
  async run(ctx) {
    const p: any = new Proxy({}, { get: (_, key, self) => self[key] });
    ctx.log(p.x);
  },
};
