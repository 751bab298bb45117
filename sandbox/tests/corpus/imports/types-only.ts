// expect: nothing_to_do
// Types are gone before anything is imported.
import type { Stats } from "node:fs";
export default { run(_: unknown, stats?: Stats) { void stats; } };
