// expect: timed_out
export default {
  async run(ctx) {
    return [{ get to() { for (;;) {} } }];
  },
};
