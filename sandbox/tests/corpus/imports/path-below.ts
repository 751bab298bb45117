// expect: forbidden_import; says: viem/../../etc/passwd
import x from "viem/../../etc/passwd";
export default { run: () => x };
