// expect: threw; line: 2; says: import.meta
export default { run: () => import.meta.url };
