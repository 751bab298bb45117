// expect: threw; says: SyntaxError
function f() { await 1; }
export default { run() {} };
