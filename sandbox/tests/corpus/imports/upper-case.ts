// expect: forbidden_import; says: VIEM
import { keccak256 } from "VIEM";
export default { run: () => keccak256("0x") };
