// expect: threw; says: stack
export default {
  async run(ctx) {
    class A {
      b = new A();
    }
    new A();
  },
};
