// expect: threw; says: nobody handled
export default {
  async run(ctx) {
    Promise.reject(new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; }, ownKeys() { throw 3; } }));
  },
};
