// Passes a share of what came in to somebody else: a tithe, a savings jar, a partner's cut. Looks at the token's Transfer
// events to the account since the last run, and sends the share of their sum.
//
// args: chainId, token, to, shareBps (1 to 10000), blocks (how far to look back: the trigger's interval in blocks)
import { defineWorkflow } from "@ditto/workflow";
import { encodeFunctionData, parseAbi, parseAbiItem, type Address } from "viem";

const erc20 = parseAbi([
  "function balanceOf(address owner) view returns (uint256)",
  "function transfer(address to, uint256 amount) returns (bool)",
]);
const transferred = parseAbiItem("event Transfer(address indexed from, address indexed to, uint256 value)");

interface Args {
  chainId: number;
  token: Address;
  to: Address;
  shareBps: number;
  blocks: number;
}

export default defineWorkflow<Args>({
  async run(ctx) {
    const { chainId, token, to, shareBps, blocks } = ctx.args;
    const chain = ctx.chain(chainId);
    const latest = await chain.getBlockNumber();

    // Both are asked for before either is awaited, so they travel together.
    const [logs, balance] = await Promise.all([
      chain.getLogs({
        address: token,
        event: transferred,
        args: { to: ctx.account },
        fromBlock: latest >= BigInt(blocks) ? latest - BigInt(blocks) + 1n : 0n,
        toBlock: latest,
      }),
      chain.readContract<bigint>({ address: token, abi: erc20, functionName: "balanceOf", args: [ctx.account] }),
    ]);

    const income = logs.reduce((sum, log) => sum + (log.args.value as bigint), 0n);
    const share = (income * BigInt(shareBps)) / 10_000n;
    if (share === 0n) return;
    if (balance < share) {
      ctx.log(`balance ${balance} does not cover the share of ${share}`);
      return;
    }
    ctx.log(`${logs.length} deposits of ${income}: passing on ${share}`);
    return [{ to: token, data: encodeFunctionData({ abi: erc20, functionName: "transfer", args: [to, share] }) }];
  },
});
