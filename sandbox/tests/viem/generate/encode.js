// One text for every value, the same in Node and in the sandbox (which gets this very source): JSON in which a bigint, bytes
// and undefined are objects of their own. Keys keep their order, since a workflow can see it.
export function encode(value) {
  if (typeof value === "bigint") return `{"bigint":"${value}"}`;
  if (value === undefined) return `{"undefined":true}`;
  if (value instanceof Uint8Array) return `{"bytes":[${Array.from(value).join(",")}]}`;
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`;
  if (value !== null && typeof value === "object") {
    return `{${Object.keys(value).map((key) => `${JSON.stringify(key)}:${encode(value[key])}`).join(",")}}`;
  }
  return JSON.stringify(value);
}
