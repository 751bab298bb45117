// expect: timed_out
export default {
  async run(ctx) {
    const thenable: any = { then(resolve: (v: unknown) => void) { resolve(thenable); } };
    await thenable;
  },
};
