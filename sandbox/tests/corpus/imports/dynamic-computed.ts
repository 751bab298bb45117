// expect: forbidden_import; says: node:
export default { run: (name: string) => import("node:" + name) };
