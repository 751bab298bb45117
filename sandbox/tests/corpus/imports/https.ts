// expect: forbidden_import; says: https://example.org/x.js
import { x } from "https://example.org/x.js";
export default { run: () => x };
