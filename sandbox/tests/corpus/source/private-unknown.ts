// expect: threw; says: SyntaxError
class A { f() { return this.#x; } }
export default { run() {} };
