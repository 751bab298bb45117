// expect: out_of_memory
export default {
  async run(ctx) {
    // No stack is used, only memory.
    const f = async (): Promise<number> => {
      await null;
      return 1 + (await f());
    };
    await f();
  },
};
