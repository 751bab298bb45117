// expect: threw; line: 5; says: here
interface Unused {
  a: 1;
}
throw new Error("here");
