// expect: threw
const r = /a/gg;
export default { run: () => void r };
