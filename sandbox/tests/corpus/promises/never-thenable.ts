// expect: threw; says: never finished
export default {
  async run(ctx) {
    return { then() {} } as never;
  },
};
