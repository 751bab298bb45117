// expect: nothing_to_do
const r = /[\p{L}--[a-z]]/v;
export default { run: () => void r };
