// Runs once in the zygote, after the SDK is loaded: takes away everything that is not the language itself or that could
// tell one machine, one moment or one run from another. A list of what stays, so that a new engine adds nothing unseen.
(() => {
  "use strict";
  const keep = new Set([
    "globalThis", "Infinity", "NaN", "undefined", "isFinite", "isNaN", "parseFloat", "parseInt", "decodeURI",
    "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "unescape", "Object", "Function", "Boolean",
    "Symbol", "Error", "AggregateError", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError",
    "URIError", "Number", "BigInt", "Math", "Date", "String", "RegExp", "Array", "Int8Array", "Uint8Array",
    "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array",
    "Float16Array", "Float32Array", "Float64Array", "Map", "Set", "WeakMap", "WeakSet", "ArrayBuffer", "DataView",
    "JSON", "Promise", "Reflect", "Proxy", "Iterator", "console",
  ]);
  const { defineProperty, getPrototypeOf, setPrototypeOf, getOwnPropertyNames } = Object;

  // Code from strings: the four constructors of functions are reachable through their prototypes' `constructor`.
  function refuse() {
    throw new EvalError("code from strings is not available in a workflow");
  }
  const kinds = [function () {}, async function () {}, function* () {}, async function* () {}].map(getPrototypeOf);
  const NoFunction = function Function() {
    refuse();
  };
  defineProperty(NoFunction, "prototype", { value: kinds[0], writable: false });
  for (const prototype of kinds) {
    const real = prototype.constructor;
    defineProperty(prototype, "constructor", { value: NoFunction, writable: false, configurable: false });
    // Whoever still finds the real constructor through some corner can no longer walk from it to another.
    if (real !== kinds[0].constructor) setPrototypeOf(real, kinds[0]);
  }
  defineProperty(globalThis, "Function", { value: NoFunction, writable: true, configurable: true });

  // Language and place: the host's locale must not show.
  const plain = (target, name, like) =>
    defineProperty(target, name, { value: target[like], writable: true, configurable: true });
  for (const numbers of [Number.prototype, BigInt.prototype]) {
    // Not the very same function: a locale is no radix.
    const { toString } = numbers, { apply } = Reflect;
    const { toLocaleString } = { toLocaleString() { return apply(toString, this, []); } };
    defineProperty(numbers, "toLocaleString", { value: toLocaleString, writable: true, configurable: true });
  }
  plain(Array.prototype, "toLocaleString", "toString");
  plain(getPrototypeOf(Uint8Array.prototype), "toLocaleString", "toString");
  plain(String.prototype, "toLocaleLowerCase", "toLowerCase");
  plain(String.prototype, "toLocaleUpperCase", "toUpperCase");
  plain(Date.prototype, "toLocaleString", "toString");
  plain(Date.prototype, "toLocaleDateString", "toDateString");
  plain(Date.prototype, "toLocaleTimeString", "toTimeString");
  defineProperty(String.prototype, "localeCompare", {
    value: { localeCompare(other) { const [a, b] = [`${this}`, `${other}`]; return a < b ? -1 : a > b ? 1 : 0; } }.localeCompare,
    writable: true,
    configurable: true,
  });

  // Stack texts are fixed by the host; these would let a workflow make its own.
  for (const name of ["captureStackTrace", "stackTraceLimit", "prepareStackTrace"]) delete Error[name];

  const left = [];
  for (const name of Reflect.ownKeys(globalThis)) {
    if (typeof name === "string" && keep.has(name)) continue;
    if (name === Symbol.toStringTag) continue;
    if (!Reflect.deleteProperty(globalThis, name)) left.push(String(name));
  }
  // Nothing on the built-ins may be a leftover of the engine's shims.
  for (const name of getOwnPropertyNames(globalThis)) {
    const value = globalThis[name];
    if (value === null || (typeof value !== "function" && typeof value !== "object")) continue;
    for (const holder of [value, value.prototype]) {
      if (holder === undefined || holder === null) continue;
      for (const key of getOwnPropertyNames(holder)) {
        if (key.startsWith("__v8") || key.startsWith("__deno")) {
          if (!Reflect.deleteProperty(holder, key)) left.push(`${name}.${key}`);
        }
      }
    }
  }

  // The SDK runs among a workflow's code, and what it calls must be the language's. So nothing is added to a built-in, and
  // its methods stay what they are. Methods that classes of their own usually replace (an assignment to an inherited
  // read-only property throws) stay writable on the roots: the SDK calls none of them.
  const { getOwnPropertyDescriptor, preventExtensions } = Object;
  const { ownKeys } = Reflect;
  const roots = new Set([Object.prototype, Function.prototype]);
  const replaceable = new Set(["constructor", "toString", "toLocaleString", "valueOf", "name", "message"]);
  const built = new Set(kinds);
  for (const name of getOwnPropertyNames(globalThis)) {
    const value = globalThis[name];
    const descriptor = getOwnPropertyDescriptor(globalThis, name);
    if (descriptor.configurable) defineProperty(globalThis, name, { writable: false, configurable: false });
    if (value === null || (typeof value !== "function" && typeof value !== "object") || value === globalThis) continue;
    built.add(value);
    if (typeof value.prototype === "object" && value.prototype !== null) {
      built.add(value.prototype);
      if (name.endsWith("Error")) roots.add(value.prototype);
    }
  }
  // What no global names: the prototypes of generators, of iterators, and of all typed arrays.
  const hidden = kinds.map((kind) => kind.prototype).filter((object) => object !== undefined);
  const some = [[].values(), new Map().values(), new Set().values(), "".matchAll(/a/g), ""[Symbol.iterator](), [].values().map((x) => x)];
  hidden.push(...some.map(getPrototypeOf), getPrototypeOf(Uint8Array));
  for (const object of hidden) for (let proto = object; proto !== null; proto = getPrototypeOf(proto)) built.add(proto);
  built.add(getPrototypeOf(Uint8Array.prototype));
  for (const object of built) {
    for (const key of ownKeys(object)) {
      const descriptor = getOwnPropertyDescriptor(object, key);
      if (!descriptor.configurable || (roots.has(object) && replaceable.has(key))) continue;
      defineProperty(object, key, "value" in descriptor ? { writable: false, configurable: false } : { configurable: false });
    }
    preventExtensions(object);
  }
  return left.join(",");
})();
