// expect: threw; says: SyntaxError
<!-- not in a module
export default { run() {} };
