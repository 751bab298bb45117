// expect: threw; says: code from strings
export default {
  async run(ctx) {
    const GeneratorFunction = Object.getPrototypeOf(function* () {}).constructor;
    GeneratorFunction.call(null, "a", "yield 1");
  },
};
