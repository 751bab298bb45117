// expect: nothing_to_do
// Only what is imported counts.
export default { run: () => void "import('node:fs')" };
