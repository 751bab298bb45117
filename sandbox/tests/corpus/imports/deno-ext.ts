// expect: forbidden_import; says: ext:core/mod.js
import { core } from "ext:core/mod.js";
export default { run: () => core };
