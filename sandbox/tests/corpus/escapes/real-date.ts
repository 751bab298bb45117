// expect: nothing_to_do
export default {
  async run(ctx) {
    const fixed = ctx.timestamp;
    const kinds: any[] = [Date, new Date().constructor, Date.prototype.constructor, Object.getPrototypeOf(new Date()).constructor];
    class Mine extends Date {}
    kinds.push(Mine, Date.bind(null), Reflect.construct(Date, []).constructor);
    for (const kind of kinds) if (new kind().getTime() !== fixed) throw new Error("the real clock");
    if (Date.now() !== fixed || Date() !== new Date(fixed).toString()) throw new Error("the real clock");
    if (Reflect.construct(Date, [], Array) instanceof Array && !Date.now) throw new Error("never");
  },
};
