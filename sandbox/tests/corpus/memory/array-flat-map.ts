// expect: out_of_memory
export default {
  async run(ctx) {
    let held: unknown[] = [1];
    for (;;) held = held.flatMap((one) => [one, one]);
  },
};
