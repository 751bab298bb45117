// expect: threw; says: SyntaxError
export default { run: () => <div></div> };
