// expect: threw; says: stack
export default {
  async run(ctx) {
    const f = (): number => [2, 1].sort(() => f())[0];
    f();
  },
};
