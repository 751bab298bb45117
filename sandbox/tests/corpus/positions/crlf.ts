// expect: threw; line: 4; says: here
export default {
  run() {
    throw new Error("here");
  },
};
