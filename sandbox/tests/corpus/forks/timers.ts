// expect: threw
export default {
  async run(ctx) {
    (globalThis as any).setInterval(() => {}, 0);
  },
};
