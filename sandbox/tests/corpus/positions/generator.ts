// expect: threw; line: 4; says: here
function* numbers(): Generator<number, void, undefined> {
  yield 1;
  throw new Error("here");
}
export default { run: () => void [...numbers()] };
