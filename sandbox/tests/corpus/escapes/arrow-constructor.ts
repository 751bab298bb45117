// expect: threw; says: code from strings; line: 4
export default {
  async run(ctx) {
    (() => {}).constructor("return 1")();
  },
};
