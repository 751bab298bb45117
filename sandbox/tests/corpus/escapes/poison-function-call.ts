// expect: threw
export default {
  async run(ctx) {
    Function.prototype.call = Function.prototype.apply = Function.prototype.bind = null as never;
    Reflect.construct = Reflect.apply = null as never;
    return [{ to: ctx.account }];
  },
};
