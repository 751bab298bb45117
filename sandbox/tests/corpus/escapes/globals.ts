// expect: nothing_to_do
export default {
  async run(ctx) {
    const names = [
      "Deno", "__bootstrap", "__ditto", "WebAssembly", "Atomics", "SharedArrayBuffer", "Intl", "Temporal", "gc", "ShadowRealm", "eval", "WeakRef",
      "FinalizationRegistry", "performance", "setTimeout", "setInterval", "setImmediate", "process", "require", "fetch", "queueMicrotask", "navigator",
      "structuredClone", "crypto", "DisposableStack", "AsyncDisposableStack", "std", "os", "bjson", "scriptArgs", "print", "Worker", "importScripts",
      "postMessage", "XMLHttpRequest", "WebSocket", "location", "window", "self", "global", "d8", "version", "load", "read", "quit",
    ];
    const found = names.filter((name) => (globalThis as any)[name] !== undefined);
    found.push(...Reflect.ownKeys(globalThis).map(String).filter((name) => name.startsWith("__")));
    if (found.length > 0) throw new Error(found.join());
  },
};
