// expect: threw; line: 5; says: x
const inner = (o: any): number =>
  // the line below reads a property of undefined
  o.missing
    .x;
export default {
  run() {
    return inner({});
  },
};
