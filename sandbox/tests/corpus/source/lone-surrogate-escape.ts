// expect: nothing_to_do
export default { run(ctx: any) { ctx.log("\ud800"); } };
