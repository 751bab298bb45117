// expect: threw; says: AggregateError
export default {
  async run(ctx) {
    await Promise.any([Promise.reject(new Error("a")), Promise.reject(Object.create(null))]);
  },
};
