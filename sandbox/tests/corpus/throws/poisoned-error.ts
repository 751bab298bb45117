// expect: threw
export default {
  async run(ctx) {
    (globalThis as any).Error = null;
    throw 1;
  },
};
