// Text: collation, case, normal forms, regular expressions, JSON.
export default {
  async run(ctx: any) {
    const words = ["z", "a", "\u00e4", "A", "\u00df", "\ud83d\ude00", "\u0130", "i\u0307", "\ufb01", "\u03a3", "e\u0301", "\u00e9"];
    ctx.log([...words].sort().join(), [...words].sort((a, b) => a.localeCompare(b)).join(), [...words].sort((a, b) => a.localeCompare(b, "de")).join());
    ctx.log(words.map((w) => w.toUpperCase()).join(), words.map((w) => w.toLowerCase()).join(), words.map((w) => (w as any).toLocaleUpperCase("tr")).join());
    for (const form of ["NFC", "NFD", "NFKC", "NFKD"]) ctx.log(words.map((w) => [...w.normalize(form)].map((c) => c.codePointAt(0)!.toString(16)).join("+")).join());
    ctx.log("aBc\u00e9\u017f\u212a".match(/[\w]/giu)?.join(), "\u01c5".match(/\p{Lt}/u)?.index, /\p{Script=Greek}/u.test("\u03b1"), "x".search(/(?<n>x)/));
    ctx.log(JSON.stringify({ a: undefined, b: () => 1, c: [undefined, NaN, -0, 1e21], d: new Date(0), "\u2028": "\ud800" }), JSON.stringify("\u007f\u0001\""));
    ctx.log((1234567.891).toLocaleString(), (1234567n).toLocaleString("de"), [1.5, 2].toLocaleString());
    ctx.log(escape("\u00e9 \u4e2d"), encodeURIComponent("\u00e9\ud83d\ude00"), unescape("%u4e2d"), "abc".at(-1), "a-b-c".split(/(-)/).join("|"));
    ctx.log("x".padStart(5, "ab"), "\ud800".isWellFormed(), "\ud800a".toWellFormed(), "a\u0000b".length, String.raw`\u{zzz}`);
    ctx.log([..."\u0e01\u0e33 e\u0301 \ud83d\udc68\u200d\ud83d\udc69".matchAll(/\P{M}\p{M}*/gu)].map((m) => m.index).join());
  },
};
