// expect: threw; says: never finished
await new Promise(() => {});
export default { run() {} };
