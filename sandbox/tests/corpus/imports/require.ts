// expect: threw; line: 4; says: require
export default {
  run() {
    return (require as any)("fs");
  },
};
