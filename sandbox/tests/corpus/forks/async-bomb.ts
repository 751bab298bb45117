// expect: out_of_memory | timed_out
export default {
  async run(ctx) {
    // What comes closest to a fork bomb here.
    const bomb = async (): Promise<unknown> => {
      await null;
      return Promise.all([bomb(), bomb()]);
    };
    await bomb();
  },
};
