// expect: threw
export default { run: class {} };
