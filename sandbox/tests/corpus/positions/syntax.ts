// expect: threw; line: 4; says: SyntaxError
export default {
  run() {
    return 1 +;
  },
};
