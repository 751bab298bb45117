// expect: nothing_to_do
export default {
  async run(ctx) {
    await new Promise((resolve) => {
      resolve(1);
      throw new Error("ignored by the language");
    });
  },
};
