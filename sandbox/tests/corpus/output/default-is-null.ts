// expect: threw; says: default export
export default null;
