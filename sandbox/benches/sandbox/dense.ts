// The workload of `sandbox.rs`: a keeper of a concentrated-liquidity position, dense on purpose (10 KB, types and all).
// It reads a pool's price, the position and an oracle, works out whether to move the range, and encodes one call.
import { defineWorkflow } from "@ditto/workflow";
import { encodeFunctionData, parseAbi } from "viem";

type Tick = number;
type Bps = number;
interface Range { lower: Tick; upper: Tick }
interface Position extends Range { liquidity: bigint; owed0: bigint; owed1: bigint }
interface Slot0 { sqrtPriceX96: bigint; tick: Tick; unlocked: boolean }
interface Verdict { move: boolean; reason: string; target?: Range; score: number }
interface Args { chainId: number; pool: `0x${string}`; manager: `0x${string}`; oracle: `0x${string}`; widthBps?: Bps; slippageBps?: Bps }

const Q96 = 1n << 96n, Q128 = 1n << 128n, MAX256 = (1n << 256n) - 1n, RAY = 10n ** 27n, WAD = 10n ** 18n;
const MIN_TICK: Tick = -887272, MAX_TICK: Tick = 887272, SPACING = 60, BPS = 10_000;

const poolAbi = parseAbi(["function slot0() view returns (uint160 sqrtPriceX96, int24 tick, uint16 index, bool unlocked)"]);
const managerAbi = parseAbi([
  "function positions(address owner) view returns (int24 lower, int24 upper, uint128 liquidity, uint128 owed0, uint128 owed1)",
  "function rebalance(int24 lower, int24 upper, uint128 liquidity, uint256 min0, uint256 min1, uint256 deadline, bytes32 tag)",
]);
const oracleAbi = parseAbi(["function latestAnswer() view returns (int256)"]);

class Panic extends Error {
  constructor(readonly code: string, message: string) { super(`${code}: ${message}`); this.name = "Panic"; }
}
function ensure(condition: unknown, code: string, message: string): asserts condition {
  if (!condition) throw new Panic(code, message);
}

// --- fixed point ---
const abs = (x: bigint): bigint => (x < 0n ? -x : x);
const min = <T extends bigint | number>(a: T, b: T): T => (a < b ? a : b);
const max = <T extends bigint | number>(a: T, b: T): T => (a > b ? a : b);
const clamp = <T extends bigint | number>(x: T, low: T, high: T): T => max(low, min(x, high));
const mulDiv = (a: bigint, b: bigint, d: bigint): bigint => { ensure(d !== 0n, "MATH", "division by zero"); return (a * b) / d; };
const mulDivUp = (a: bigint, b: bigint, d: bigint): bigint => { const p = a * b; return p / d + (p % d === 0n ? 0n : 1n); };
const rayMul = (a: bigint, b: bigint) => (a * b + RAY / 2n) / RAY;
const rayPow = (base: bigint, n: bigint): bigint => {
  let z = n % 2n ? base : RAY;
  for (let x = base, k = n / 2n; k > 0n; k /= 2n) { x = rayMul(x, x); if (k % 2n) z = rayMul(z, x); }
  return z;
};
function log2(value: bigint): number {
  let bits = 0;
  for (let v = value; v > 1n; v >>= 1n) bits++;
  return bits;
}
function formatFixed(value: bigint, decimals: number, places = 4): string {
  const base = 10n ** BigInt(decimals), whole = abs(value) / base;
  const part = (abs(value) % base).toString().padStart(decimals, "0").slice(0, places).replace(/0+$/, "");
  return `${value < 0n ? "-" : ""}${whole.toString().replace(/\B(?=(\d{3})+$)/g, "_")}${part ? "." + part : ""}`;
}

// --- ticks and prices (Uniswap v3 white paper, 6.1 and 6.2) ---
const RATIOS: readonly bigint[] = [
  0xfffcb933bd6fad37aa2d162d1a594001n, 0xfff97272373d413259a46990580e213an, 0xfff2e50f5f656932ef12357cf3c7fdccn,
  0xffe5caca7e10e4e61c3624eaa0941cd0n, 0xffcb9843d60f6159c9db58835c926644n, 0xff973b41fa98c081472e6896dfb254c0n,
  0xff2ea16466c96a3843ec78b326b52861n, 0xfe5dee046a99a2a811c461f1969c3053n, 0xfcbe86c7900a88aedcffc83b479aa3a4n,
  0xf987a7253ac413176f2b074cf7815e54n, 0xf3392b0822b70005940c7a398e4b70f3n, 0xe7159475a2c29b7443b29c7fa6e889d9n,
  0xd097f3bdfd2022b8845ad8f792aa5825n, 0xa9f746462d870fdf8a65dc1f90e061e5n, 0x70d869a156d2a1b890bb3df62baf32f7n,
  0x31be135f97d08fd981231505542fcfa6n, 0x9aa508b5b7a84e1c677de54f3e99bc9n, 0x5d6af8dedb81196699c329225ee604n,
  0x2216e584f5fa1ea926041bedfe98n, 0x48a170391f7dc42444e8fa2n,
];
function sqrtRatioAt(tick: Tick): bigint {
  ensure(tick >= MIN_TICK && tick <= MAX_TICK, "TICK", `${tick} is out of bounds`);
  const size = Math.abs(tick);
  let ratio = Q128;
  for (let bit = 0; bit < RATIOS.length; bit++) if (size & (1 << bit)) ratio = (ratio * RATIOS[bit]) >> 128n;
  if (tick > 0) ratio = MAX256 / ratio;
  return (ratio >> 32n) + (ratio % (1n << 32n) === 0n ? 0n : 1n);
}
const tickAt = (price: number): Tick => clamp(Math.floor(Math.log(price) / Math.log(1.0001)), MIN_TICK, MAX_TICK);
const snap = (tick: Tick): Tick => clamp(Math.round(tick / SPACING) * SPACING, MIN_TICK, MAX_TICK);
const amount0 = (a: bigint, b: bigint, l: bigint): bigint => (a > b ? amount0(b, a, l) : mulDiv(l << 96n, b - a, b) / a);
const amount1 = (a: bigint, b: bigint, l: bigint): bigint => (a > b ? amount1(b, a, l) : mulDiv(l, b - a, Q96));
function amounts(price: bigint, range: Range, liquidity: bigint): [bigint, bigint] {
  const [a, b] = [sqrtRatioAt(range.lower), sqrtRatioAt(range.upper)];
  if (price <= a) return [amount0(a, b, liquidity), 0n];
  if (price >= b) return [0n, amount1(a, b, liquidity)];
  return [amount0(price, b, liquidity), amount1(a, price, liquidity)];
}
function liquidityFor(price: bigint, range: Range, have0: bigint, have1: bigint): bigint {
  const [a, b] = [sqrtRatioAt(range.lower), sqrtRatioAt(range.upper)];
  const from0 = (low: bigint) => mulDiv(have0, mulDiv(low, b, Q96), max(b - low, 1n));
  const from1 = (high: bigint) => mulDiv(have1, Q96, max(high - a, 1n));
  return price <= a ? from0(a) : price >= b ? from1(b) : min(from0(price), from1(price));
}

// --- statistics and structures ---
class Ring<T> {
  readonly #items: T[] = [];
  constructor(private readonly capacity: number) {}
  push(item: T): this { this.#items.push(item); if (this.#items.length > this.capacity) this.#items.shift(); return this; }
  *[Symbol.iterator](): Generator<T> { yield* this.#items; }
  get size(): number { return this.#items.length; }
}
class Heap<T> {
  private items: T[] = [];
  constructor(private readonly before: (a: T, b: T) => boolean) {}
  push(item: T): void {
    let at = this.items.push(item) - 1;
    while (at > 0) { const up = (at - 1) >> 1; if (!this.before(this.items[at], this.items[up])) break; this.swap(at, up); at = up; }
  }
  pop(): T | undefined {
    if (this.items.length === 0) return undefined;
    this.swap(0, this.items.length - 1);
    const top = this.items.pop();
    for (let at = 0; ; ) {
      let best = at;
      for (const child of [2 * at + 1, 2 * at + 2]) if (child < this.items.length && this.before(this.items[child], this.items[best])) best = child;
      if (best === at) return top;
      this.swap(at, best); at = best;
    }
  }
  private swap(a: number, b: number): void { [this.items[a], this.items[b]] = [this.items[b], this.items[a]]; }
}
const mean = (xs: Iterable<number>): number => { let [sum, n] = [0, 0]; for (const x of xs) { sum += x; n++; } return n ? sum / n : 0; };
const deviation = (xs: Iterable<number>): number => { const all = [...xs], m = mean(all); return Math.sqrt(mean(all.map((x) => (x - m) ** 2))); };

// --- the decision ---
enum Mood { Calm, Drifting, Wild }
const WIDTHS: Record<Mood, number> = { [Mood.Calm]: 1, [Mood.Drifting]: 2, [Mood.Wild]: 4 };
function moodOf(tick: Tick, fair: Tick, seen: Ring<Tick>): Mood {
  const spread = deviation(seen.push(tick).push(fair)), gap = Math.abs(tick - fair);
  return gap > 600 || spread > 400 ? Mood.Wild : gap > 120 || spread > 80 ? Mood.Drifting : Mood.Calm;
}
function candidates(tick: Tick, width: Bps, mood: Mood): Range[] {
  const half = Math.max(SPACING, snap((width * WIDTHS[mood]) / 2));
  return [-1, 0, 1].map((shift) => ({ lower: snap(tick - half + shift * SPACING), upper: snap(tick + half + shift * SPACING) }));
}
function score(range: Range, slot: Slot0, position: Position): number {
  const [have0, have1] = amounts(slot.sqrtPriceX96, position, position.liquidity);
  const liquidity = liquidityFor(slot.sqrtPriceX96, range, have0 + position.owed0, have1 + position.owed1);
  const centre = (range.lower + range.upper) / 2, off = Math.abs(slot.tick - centre) / (range.upper - range.lower);
  return log2(liquidity + 1n) - 8 * off + Number(rayPow(RAY + RAY / 1000n, 3n) / 10n ** 24n) / 1e4;
}
function decide(slot: Slot0, position: Position, fair: Tick, width: Bps): Verdict {
  if (position.liquidity === 0n) return { move: false, reason: "nothing to move", score: 0 };
  const mood = moodOf(slot.tick, fair, new Ring<Tick>(8));
  const heap = new Heap<{ range: Range; value: number }>((a, b) => a.value > b.value);
  for (const range of candidates(slot.tick, width, mood)) heap.push({ range, value: score(range, slot, position) });
  const best = heap.pop(), now = score(position, slot, position);
  if (!best || best.value <= now) return { move: false, reason: `in place (${Mood[mood]})`, score: now };
  return { move: true, reason: `${Mood[mood]}: ${best.value.toFixed(3)} over ${now.toFixed(3)}`, target: best.range, score: best.value };
}

export default defineWorkflow({
  async run(ctx) {
    const { chainId, pool, manager, oracle, widthBps = 1200, slippageBps = 50 } = ctx.args as unknown as Args;
    const chain = ctx.chain(chainId);
    const [raw, held, answer] = await Promise.all([
      chain.readContract({ address: pool, abi: poolAbi, functionName: "slot0" }),
      chain.readContract({ address: manager, abi: managerAbi, functionName: "positions", args: [ctx.account] }),
      chain.readContract({ address: oracle, abi: oracleAbi, functionName: "latestAnswer" }),
    ]) as [any[], any[], bigint];
    const slot: Slot0 = { sqrtPriceX96: raw[0], tick: Number(raw[1]), unlocked: raw[3] };
    const [lower, upper] = [Number(held[0]), Number(held[1])];
    const position: Position = { lower, upper, liquidity: held[2], owed0: held[3], owed1: held[4] };
    ensure(slot.unlocked, "POOL", "the pool is locked");
    const fair = tickAt(Number(answer) / Number(WAD));
    const verdict = decide(slot, position, fair, widthBps);
    ctx.log(verdict.reason, formatFixed(position.liquidity, 18));
    if (!verdict.move || !verdict.target) return [];
    const [min0, min1] = amounts(slot.sqrtPriceX96, verdict.target, position.liquidity)
      .map((amount) => mulDivUp(amount, BigInt(BPS - slippageBps), BigInt(BPS)));
    const move = [verdict.target.lower, verdict.target.upper, position.liquidity, min0, min1];
    const tag = `0x${ctx.occurrence.toString(16).padStart(64, "0")}`;
    const data = encodeFunctionData({ abi: managerAbi, functionName: "rebalance", args: [...move, BigInt(ctx.timestamp) / 1000n + 600n, tag] });
    return [{ to: manager, data }];
  },
});
