// expect: threw; says: code from strings; line: 4
export default {
  async run(ctx) {
    (async function* () {}).constructor("yield 1")().next();
  },
};
