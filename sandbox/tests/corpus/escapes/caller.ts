// expect: threw
export default {
  async run(ctx) {
    function f() {
      return (f as any).caller.arguments[0];
    }
    ctx.log([1].map(f));
  },
};
