// expect: timed_out
export default {
  async run(ctx) {
    Object.fromEntries({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: ["a", 1] }) }) } as never);
  },
};
