// Watches a price oracle and moves a vault to its defensive allocation when the price falls below a floor.
//
// args: chainId, oracle, floor (decimal string, in the oracle's unit), vault, targetBps, counter (optional)
import { defineWorkflow, type Call } from "@ditto/workflow";
import { encodeFunctionData, parseAbi } from "viem";

const oracleAbi = parseAbi(["function latestAnswer() view returns (int256)"]);
const vaultAbi = parseAbi(["function rebalance(uint256 targetBps)"]);
const ledger = parseAbi(["function record(uint256 occurrence)"]);

interface Args {
  chainId: number;
  oracle: `0x${string}`;
  floor: string;
  vault: `0x${string}`;
  targetBps: number;
  counter?: `0x${string}`;
}

export default defineWorkflow<Args>({
  async run(ctx) {
    const { chainId, oracle, floor, vault, targetBps, counter } = ctx.args;

    const price = await ctx.chain(chainId).readContract({
      address: oracle,
      abi: oracleAbi,
      functionName: "latestAnswer",
    }) as bigint;
    if (price >= BigInt(floor)) return;

    ctx.log(`price ${price} is below ${floor}: rebalancing to ${targetBps} bps`);
    const calls: Call[] = [
      { to: vault, data: encodeFunctionData({ abi: vaultAbi, functionName: "rebalance", args: [targetBps] }) },
    ];
    // Keeps an on-chain receipt of every occurrence.
    if (counter) {
      calls.push({ to: counter, data: encodeFunctionData({ abi: ledger, functionName: "record", args: [ctx.occurrence] }) });
    }
    return calls;
  },
});
