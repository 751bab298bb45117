// expect: threw; says: SyntaxError
export default { run: () => `abc };
