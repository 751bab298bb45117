// expect: threw; line: 12; says: here
interface A {
  x: number;
}

type B = { [K in keyof A]: A[K] } & {
  y: string;
};

export default {
  run() {
    throw new Error("here") as unknown as B;
  },
};
