// expect: threw; says: code from strings; line: 4
export default {
  async run(ctx) {
    new Function("return globalThis")();
  },
};
