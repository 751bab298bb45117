// expect: threw
export default {
  async run(ctx) {
    const p: Promise<unknown> = Promise.resolve().then(() => p);
    await p;
  },
};
