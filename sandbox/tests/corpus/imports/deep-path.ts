// expect: forbidden_import; says: viem/chains
import { mainnet } from "viem/chains";
export default { run: () => mainnet };
