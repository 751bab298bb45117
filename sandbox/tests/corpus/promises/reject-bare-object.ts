// expect: threw; says: not an Error
export default {
  async run(ctx) {
    return Promise.reject(Object.create(null)) as never;
  },
};
