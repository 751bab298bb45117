// expect: threw; line: 4; says: x
export default {
  async run(ctx) {
    const error: any = new Error("x");
    error.cause = error;
    throw error;
  },
};
