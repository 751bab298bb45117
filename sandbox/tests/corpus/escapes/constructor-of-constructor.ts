// expect: threw; says: code from strings
export default {
  async run(ctx) {
    const real = Object.getPrototypeOf((async () => {}).constructor);
    (real.constructor as any)("return 1")();
  },
};
