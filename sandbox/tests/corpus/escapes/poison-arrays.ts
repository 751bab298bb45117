// expect: threw; line: 4; says: read-only
export default {
  async run(ctx) {
    Array.prototype.push = Array.prototype.map = Array.prototype.join = null as never;
    Array.prototype[Symbol.iterator] = null as never;
    String.prototype.toLowerCase = null as never;
    BigInt.prototype.toString = null as never;
    return [{ to: ctx.account, value: 1n }];
  },
};
