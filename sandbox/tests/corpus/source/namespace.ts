// expect: threw | nothing_to_do
namespace N { export const a = 1; }
export default { run: () => void N.a };
