// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    const again = (): Promise<void> => Promise.resolve().then(again);
    await again();
  },
};
