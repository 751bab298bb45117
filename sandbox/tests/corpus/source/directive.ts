// expect: nothing_to_do
"use asm";
export default { run() {} };
