// expect: threw; says: stack; memory_mib: 64
export default {
  async run(ctx) {
    let p: any = {};
    for (let i = 0; i < 60_000; i++) p = new Proxy(p, {});
    ctx.log(p.x);
  },
};
