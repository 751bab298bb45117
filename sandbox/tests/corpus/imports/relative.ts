// expect: forbidden_import; says: ./plain.ts
import { f } from "./plain.ts";
export default { run: () => f() };
