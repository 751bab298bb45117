// expect: threw; says: stack; memory_mib: 64
export default {
  async run(ctx) {
    let a: any = [];
    for (let i = 0; i < 60_000; i++) a = [a];
    ctx.log(String(a));
  },
};
