// expect: timed_out
export default {
  async run(ctx) {
    const endless = { next: () => ({ done: false, value: 0 }), __proto__: Iterator.prototype };
    (endless as any).filter(() => false).next();
  },
};
