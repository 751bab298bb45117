// expect: threw; line: 5; says: lost
export default {
  async run() {
    void (async () => {
      throw new Error("lost");
    })();
    await null;
  },
};
