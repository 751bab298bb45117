// expect: threw | nothing_to_do
const d = (t: any) => t;
@d
class A {}
export default { run: () => void A };
