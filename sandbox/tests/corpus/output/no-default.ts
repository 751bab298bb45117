// expect: threw; says: default export
export const run = () => {};
