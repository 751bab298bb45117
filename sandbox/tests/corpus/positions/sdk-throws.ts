// expect: threw; line: 7; says: takes 1 arguments, got 0
import { encodeFunctionData, parseAbi } from "viem";
const abi = parseAbi(["function f(uint256 x)"]);
export default {
  run() {
    void abi;
    return encodeFunctionData({ abi, args: [] } as never) as never;
  },
};
