// expect: threw; line: 6; says: SyntaxError
// The compiler lets this group pass that the engine refuses, in its own words and without a place.
const fine = /(?<year>\d{4})/u;
export default {
  run() {
    return /(?<a>.)\k<b>/u.test("x") && fine.test("2024") ? null : undefined;
  },
};
