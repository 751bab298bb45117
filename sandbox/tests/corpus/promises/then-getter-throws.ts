// expect: threw; line: 4; says: trap
export default {
  async run(ctx) {
    return { get then(): never { throw new Error("trap"); } } as never;
  },
};
