// expect: threw; line: 4; says: here
const s = "😀 é 中";
export default {
  run() { void s; throw new Error("here"); },
};
