// expect: threw; says: code from strings
export default {
  async run(ctx) {
    Reflect.construct((class {}).constructor as never, ["return 1"]);
  },
};
