// expect: nothing_to_do; memory_mib: 64
export default {
  async run(ctx) {
    let o: any = null;
    for (let i = 0; i < 60_000; i++) o = Object.create(o);
    ctx.log(o.x);
  },
};
