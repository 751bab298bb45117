// expect: threw; line: 9; says: here
const text = `
a
${(() => "b")()}
c`;
export default {
  run() {
    void text; /*
    */ throw new Error("here");
  },
};
