// expect: nothing_to_do
// ‮ reversed ⁦
export default { run() {} };
