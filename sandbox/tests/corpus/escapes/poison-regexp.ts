// expect: threw
export default {
  async run(ctx) {
    // What the address is checked with.
    RegExp.prototype.test = () => true;
    RegExp.prototype.exec = () => [""] as never;
    return [{ to: "0xnothing at all" }];
  },
};
