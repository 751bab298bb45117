// expect: threw; says: SyntaxError
let a = 1;
let a = 2;
export default { run() {} };
