// expect: timed_out | out_of_memory
export default {
  async run(ctx) {
    new Map({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: [1, 1] }) }) } as never);
  },
};
