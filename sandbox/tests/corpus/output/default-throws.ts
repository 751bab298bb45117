// expect: threw; says: trap
export default new Proxy({}, { get() { throw new Error("trap"); } });
