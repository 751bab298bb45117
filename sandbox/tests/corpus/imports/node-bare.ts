// expect: forbidden_import; says: child_process
import { exec } from "child_process";
export default { run: () => exec("id") };
