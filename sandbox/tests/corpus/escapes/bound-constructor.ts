// expect: threw; says: code from strings
export default {
  async run(ctx) {
    (function () {}).bind(null).constructor("return 1")();
  },
};
