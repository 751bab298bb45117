// expect: threw; line: 9; says: Broke
class Broke extends Error {
  override name = "Broke";
  constructor(readonly code: number) {
    super(`code ${code}`);
  }
}
const check = (n: number) => {
  if (n) throw new Broke(n);
};
export default { run: () => check(3) };
