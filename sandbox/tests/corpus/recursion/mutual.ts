// expect: threw; says: stack
export default {
  async run(ctx) {
    const a = (): number => 1 + b();
    const b = (): number => 1 + a();
    a();
  },
};
