// expect: threw
export default {
  async run(ctx) {
    (function () {
      return (arguments as any).callee.caller;
    })();
  },
};
