// expect: forbidden_import; says: ./x
export default { run: () => `${import("./x")}` };
