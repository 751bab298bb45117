// expect: nothing_to_do
export default {
  async run(ctx) {
    const p = Promise.reject(new Error("x"));
    await null;
    await p.catch(() => {});
  },
};
