// expect: threw; line: 2; says: has no export named "createPublicClient"
import { createPublicClient } from "viem";
export default { run: () => createPublicClient };
