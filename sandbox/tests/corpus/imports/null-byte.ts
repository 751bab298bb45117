// expect: forbidden_import; says: viem
import x from "viem\0node:fs";
export default { run: () => x };
