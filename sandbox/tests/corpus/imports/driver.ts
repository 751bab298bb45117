// expect: forbidden_import; says: ditto:driver
import { drive } from "ditto:driver";
export default { run: () => drive };
