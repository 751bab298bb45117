// expect: threw; says: SyntaxError
with ({}) {}
export default { run() {} };
