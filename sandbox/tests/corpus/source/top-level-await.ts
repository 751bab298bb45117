// expect: nothing_to_do
await null;
export default { run() {} };
