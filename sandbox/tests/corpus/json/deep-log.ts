// expect: out_of_memory; memory_mib: 64
export default {
  async run(ctx) {
    // The SDK survives that the stack is used up; what depends on the stack is no verdict.
    let o: any = {};
    for (let i = 0; i < 60_000; i++) o = { o };
    ctx.log(o);
  },
};
