// Floats: formatting, parsing, the functions of Math, bits of NaN; and big integers.
export default {
  async run(ctx: any) {
    const values = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, 1e21, 1e-7, 123456789.123456789, 2 ** 53, -0, 4.35, 1.005, 0.000001, 1e300 * 10, 9007199254740993];
    ctx.log(values.join());
    ctx.log(values.map((x) => x.toString(2).slice(0, 60)).join());
    ctx.log(values.map((x) => x.toString(36)).join());
    ctx.log(values.map((x) => (Math.abs(x) < 1e21 ? x.toFixed(20) : "-")).join());
    ctx.log(values.map((x) => x.toPrecision(25)).join());
    ctx.log(values.map((x) => x.toExponential(17)).join());
    ctx.log(["1e-400", "1e400", "0.1e1", " 12 ", "0x10", "1_0", "", "1.7976931348623159e308", "4.9406564584124654e-324"].map(Number).join());
    const names = ["sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sqrt", "fround", "f16round"];
    const points = [0.1, 0.5, 0.7853981633974483, 1, 1.1, 2.718281828459045, 10, 100.5, 1e5, 1e22];
    for (const name of names) ctx.log(name, points.map((x) => (Math as any)[name]?.(x)).join());
    ctx.log(points.map((x) => x ** 1.7).join(), points.map((x) => Math.pow(1.0000001, x)).join(), points.map((x) => Math.atan2(x, 3)).join());
    ctx.log(points.map((x) => Math.hypot(x, 1, 2)).join(), 5.5 % 2.1, -1e22 % 7, Math.round(-0.5), Math.round(2.5), Math.max(-0, 0));
    let sum = 0;
    for (let i = 1; i < 5_000; i++) sum += Math.sin(i) / i + Math.exp(-i / 100) * Math.log(i);
    ctx.log(sum);
    const bits = new DataView(new ArrayBuffer(8));
    const zero: number = 0 * ctx.args.none || 0;
    for (const nan of [NaN, zero / zero, -NaN, Math.sqrt(-1), Infinity - Infinity, Number("x"), parseFloat(""), Math.log(-1), Infinity * 0, 0 % 0]) {
      bits.setFloat64(0, nan);
      const words = [bits.getUint32(0).toString(16), bits.getUint32(4).toString(16)];
      bits.setFloat32(0, nan);
      ctx.log(...words, bits.getUint32(0).toString(16), new Uint8Array(new Float64Array([nan]).buffer).join());
    }
    let big = 1n;
    for (let i = 1n; i < 300n; i++) big = (big * (i ** 7n + 3n)) % (2n ** 521n - 1n);
    ctx.log(big, (-big) / 7n, (-big) % 7n, BigInt.asIntN(64, big), (big >> 13n) ^ (big << 3n), Number(big), 2n ** 64n > 1e19);
    return [{ to: ctx.account, value: big & (2n ** 256n - 1n) }];
  },
};
