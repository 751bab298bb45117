// expect: forbidden_import; says: viеm
import { keccak256 } from "viеm"; // a Cyrillic letter
export default { run: () => keccak256("0x") };
