// expect: bad_output; says: must return an array
export default {
  async run(ctx) {
    return "0x" as never;
  },
};
