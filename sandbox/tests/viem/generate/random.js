// Random types with values that fit them: encoded, decoded, packed. Xorshift from a fixed seed, so that a table is repeatable.
let state = 0x2545f491;
function next(bound) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % bound;
}
const pick = (list) => list[next(list.length)];
const hex = (bytes) => Array.from({ length: bytes }, () => next(256).toString(16).padStart(2, "0")).join("");

/** A type in the human-readable form, and the text of a value of it. */
function type(depth) {
  const kind = next(depth > 0 ? 10 : 6);
  if (kind === 0) {
    const bits = 8 * (1 + next(32));
    return [`uint${bits}`, () => `${BigInt(`0x${hex(1 + next(bits / 8))}`)}n`];
  }
  if (kind === 1) {
    const bits = 8 * (1 + next(32));
    return [`int${bits}`, () => `${BigInt.asIntN(bits, BigInt(`0x${hex(bits / 8)}`))}n`];
  }
  if (kind === 2) return ["bool", () => pick(["true", "false"])];
  if (kind === 3) return ["address", () => `"0x${hex(20)}"`];
  if (kind === 4) {
    const size = next(33);
    return size === 0 ? ["bytes", () => `"0x${hex(next(70))}"`] : [`bytes${size}`, () => `"0x${hex(size)}"`];
  }
  if (kind === 5) return ["string", () => JSON.stringify(Array.from({ length: next(50) }, () => pick([..."abc Ünï😀\"\\\n"])).join(""))];
  if (kind < 8) {
    const [inner, value] = type(depth - 1);
    const length = next(4);
    const list = (count) => `[${Array.from({ length: count }, value).join(", ")}]`;
    return length === 0 ? [`${inner}[]`, () => list(next(4))] : [`${inner}[${length}]`, () => list(length)];
  }
  const parts = Array.from({ length: 1 + next(3) }, () => type(depth - 1));
  const named = next(2) === 0;
  const text = `(${parts.map(([inner], i) => (named ? `${inner} f${i}` : inner)).join(", ")})`;
  const value = () => (named ? `{ ${parts.map(([, one], i) => `f${i}: ${one()}`).reverse().join(", ")} }` : `[${parts.map(([, one]) => one()).join(", ")}]`);
  return [text, value];
}

export function* randomCases() {
  for (let i = 0; i < 120; i++) {
    const parts = Array.from({ length: 1 + next(3) }, () => type(3));
    const types = JSON.stringify(parts.map(([text]) => text).join(", "));
    const values = `[${parts.map(([, value]) => value()).join(", ")}]`;
    const parameters = `parseAbiParameters(${types})`;
    yield `encodeAbiParameters(${parameters}, ${values})`;
    yield `decodeAbiParameters(${parameters}, encodeAbiParameters(${parameters}, ${values}))`;
    yield `encodeFunctionData({ abi: parseAbi([${JSON.stringify(`function f${i}(${JSON.parse(types)})`)}]), functionName: "f${i}", args: ${values} })`;
  }
  for (let i = 0; i < 40; i++) {
    const parts = Array.from({ length: 1 + next(4) }, () => type(0));
    yield `encodePacked(${JSON.stringify(parts.map(([text]) => text))}, [${parts.map(([, value]) => value()).join(", ")}])`;
  }
}
