// expect: forbidden_import; says: node:vm
export { Script } from "node:vm";
export default { run() {} };
