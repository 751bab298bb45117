// expect: threw; line: 11; says: here
enum Kind {
  One = 1,
  Two,
  Three,
}

declare const ambient: number;
abstract class Shape { abstract area(): number; declare kind: Kind; constructor(private readonly side = Kind.Two, protected x?: number) { void side; } }
const f = (kind: Kind): never => {
  throw new TypeError(`here ${kind}`);
};
void Shape;
export default { run: () => f(Kind.Two) };
