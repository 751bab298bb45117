// expect: threw; line: 3; says: is not a function
class A {
  b = (undefined as any)();
}
export default { run: () => void new A() };
