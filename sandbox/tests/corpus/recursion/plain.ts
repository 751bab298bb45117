// expect: threw; says: stack
export default {
  async run(ctx) {
    const f = (): number => 1 + f();
    f();
  },
};
