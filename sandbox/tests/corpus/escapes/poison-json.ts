// expect: threw
export default {
  async run(ctx) {
    JSON.stringify = () => "[]";
    JSON.parse = () => { throw new Error("parse"); };
    Array.isArray = (() => false) as never;
    Object.freeze = null as never;
    Object.keys = () => ["x"];
    return [{ to: ctx.account }];
  },
};
