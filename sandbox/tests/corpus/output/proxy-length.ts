// expect: output_too_large | bad_output
export default {
  async run(ctx) {
    return new Proxy([], { get: (_, key) => (key === "length" ? 1e9 : undefined) }) as never;
  },
};
