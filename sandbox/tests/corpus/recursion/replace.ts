// expect: threw; says: stack
export default {
  async run(ctx) {
    const f = (): string => "a".replace(/a/, () => f());
    f();
  },
};
