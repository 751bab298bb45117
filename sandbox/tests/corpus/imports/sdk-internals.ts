// expect: forbidden_import; says: ditto:native
import { raw } from "ditto:native";
export default { run: () => (raw as any).op_end("calls", "[]") };
