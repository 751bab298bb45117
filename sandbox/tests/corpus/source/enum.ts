// expect: nothing_to_do
enum E { A = 1 << 2, B = "x".length, C }
export default { run: (ctx: any) => ctx.log(E[4], E.C) };
