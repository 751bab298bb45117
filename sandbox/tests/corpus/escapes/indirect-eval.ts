// expect: threw
export default {
  async run(ctx) {
    const e = (globalThis as any)["ev" + "al"];
    e("1");
  },
};
