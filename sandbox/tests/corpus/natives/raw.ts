// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    String.raw({ raw: { length: 2 ** 53 - 1 } } as never);
  },
};
