// expect: threw; says: nobody handled
export default {
  async run(ctx) {
    Promise.reject(Object.create(null));
  },
};
