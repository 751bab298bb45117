// Pays a fixed amount of an ERC-20 token to one recipient, every time its trigger is due: rent, payroll, a savings plan.
//
// args: chainId, token, to, amount (decimal string, in the token's smallest unit), counter (optional)
import { defineWorkflow, type Call } from "@ditto/workflow";
import { encodeFunctionData, parseAbi } from "viem";

const erc20 = parseAbi([
  "function balanceOf(address owner) view returns (uint256)",
  "function transfer(address to, uint256 amount) returns (bool)",
]);
const ledger = parseAbi(["function record(uint256 occurrence)"]);

interface Args {
  chainId: number;
  token: `0x${string}`;
  to: `0x${string}`;
  amount: string;
  counter?: `0x${string}`;
}

export default defineWorkflow<Args>({
  async run(ctx) {
    const { chainId, token, to, counter } = ctx.args;
    const amount = BigInt(ctx.args.amount);

    const balance = await ctx.chain(chainId).readContract({
      address: token,
      abi: erc20,
      functionName: "balanceOf",
      args: [ctx.account],
    }) as bigint;
    // A transfer that must fail would only burn gas: skip this time, the next one may be covered.
    if (balance < amount) {
      ctx.log(`balance ${balance} does not cover ${amount}`);
      return;
    }

    const calls: Call[] = [
      { to: token, data: encodeFunctionData({ abi: erc20, functionName: "transfer", args: [to, amount] }) },
    ];
    // Keeps an on-chain receipt of every occurrence.
    if (counter) {
      calls.push({ to: counter, data: encodeFunctionData({ abi: ledger, functionName: "record", args: [ctx.occurrence] }) });
    }
    return calls;
  },
});
