// expect: nothing_to_do
export default {
  async run(ctx) {
    // Hidden hooks of the engine's shims would hang on symbols or underscored names.
    const seen = new Set<unknown>();
    const odd: string[] = [];
    const walk = (value: any, path: string, depth: number): void => {
      if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value) || depth > 6) return;
      seen.add(value);
      for (const key of Reflect.ownKeys(value)) {
        const name = String(key);
        if (/^_|deno|v8|ditto|quickjs|op_/i.test(name) && !/^__(proto__|(define|lookup)[GS]etter__)$/.test(name)) odd.push(`${path}.${name}`);
        let next;
        try {
          next = value[key];
        } catch {
          continue;
        }
        walk(next, `${path}.${name}`, depth + 1);
      }
      walk(Object.getPrototypeOf(value), `${path}.[[proto]]`, depth + 1);
    };
    walk(globalThis, "globalThis", 0);
    walk(ctx, "ctx", 0);
    walk(ctx.chain(31337), "chain", 0);
    if (odd.length > 0) throw new Error(odd.join());
  },
};
