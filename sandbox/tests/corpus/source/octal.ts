// expect: threw; line: 2; says: SyntaxError
const a = 017;
export default { run() {} };
