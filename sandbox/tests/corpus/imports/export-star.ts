// expect: forbidden_import; says: ./everything.ts
export * from "./everything.ts";
export default { run() {} };
