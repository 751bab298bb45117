// expect: forbidden_import; says: node:fs
import fs from "node:fs";
export default { run: () => fs.readFileSync("/etc/passwd") };
