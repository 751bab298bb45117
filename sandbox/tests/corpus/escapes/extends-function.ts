// expect: threw; says: code from strings
export default {
  async run(ctx) {
    class Mine extends (Function as any) {}
    new (Mine as any)("return 1")();
  },
};
