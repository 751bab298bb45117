// expect: threw; line: 5; says: here
function first<T extends object, U = keyof T>(of: T, by?: U): T {
  void by;
  const check: (o: T) => asserts o is T = (o) => {
    if (o) throw new Error("here");
  };
  check(of);
  return of;
}
export default { run: () => void first<{ a: 1 }>({ a: 1 }) };
