//! The peers: Deno, as a process for each script and as a worker for each. npm's package, fetched by this bench alone.
//!
//! Both get it easy: no confinement but Deno's own, reads that are answered in the same process, and in place of viem a
//! coder of a few lines.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use ditto_sandbox::{Outcome, Sandbox, SandboxConfig};

use crate::{measure, processes, workload};

const VERSION: &str = "2.9.6";
const RUNS: u32 = 20;

pub struct Deno {
    /// A process for each run of a script that Deno has cached.
    pub runs_per_s: f64,
    /// And of one that it has not.
    pub first_runs_per_s: f64,
    pub workers_per_s: f64,
    pub resident_bytes: u64,
}

const WORKFLOW: &str = "export const defineWorkflow = (definition) => definition;\n";

/// As much of viem as `dense.ts` uses: static words only, the selector given.
const VIEM: &str = r#"
export const parseAbi = (signatures) => signatures;
const word = (value) => (typeof value === "string" ? value.slice(2) : BigInt.asUintN(256, BigInt(value)).toString(16)).padStart(64, "0");
export const encodeFunctionData = ({ args }) => globalThis.selector + args.map(word).join("");
"#;

/// `ctx`, its reads answered from memory; the printed calldata is compared with the sandbox's.
fn context() -> String {
    let answers: Vec<String> = workload::answers().iter().map(|(to, json)| format!("\"{to}\": {json}")).collect();
    format!(
        r#"
export const selector = "SELECTOR";
const answers = {{ {} }};
const shapes = {{ slot0: ["u", "i", "u", "b"], positions: ["i", "i", "u", "u", "u"], latestAnswer: ["i"] }};
const decode = (kind, word) => kind === "b" ? word === 1n : kind === "i" ? BigInt.asIntN(256, word) : word;
export const ctx = {{
  account: "{}", occurrence: 18446744073709551617n, timestamp: 1700000000000, args: {}, log() {{}},
  chain: () => ({{
    async readContract({{ address, functionName }}) {{
      const words = answers[address].slice(2).match(/.{{64}}/g).map((word) => BigInt("0x" + word));
      const values = shapes[functionName].map((kind, i) => decode(kind, words[i]));
      return values.length === 1 ? values[0] : values;
    }},
  }}),
}};
"#,
        answers.join(", "),
        workload::ACCOUNT,
        workload::args()
    )
}

const MAIN: &str = r#"
import { ctx, selector } from "./context.js";
globalThis.selector = selector;
const { default: workflow } = await import("./dense.ts");
console.log((await workflow.run(ctx))[0].data);
if (Deno.args[0] === "wait") { await Deno.stdin.read(new Uint8Array(1)); }
"#;

const WORKER: &str = r#"
import { ctx, selector } from "./context.js";
globalThis.selector = selector;
const { default: workflow } = await import("./dense.ts");
self.onmessage = async () => self.postMessage((await workflow.run(ctx))[0].data);
self.postMessage("ready");
"#;

const WORKERS: &str = r#"
const run = () => new Promise((resolve, reject) => {
  const worker = new Worker(import.meta.resolve("./worker.js"), { type: "module" });
  worker.onerror = reject;
  worker.onmessage = ({ data }) => {
    if (data === "ready") return worker.postMessage(0);
    worker.terminate();
    resolve(data);
  };
});
let data = await run();
const start = performance.now();
for (let i = 0; i < Number(Deno.args[0]); i++) data = await run();
console.log((performance.now() - start) / 1e3, data);
"#;

/// Nothing where npm or the network is not to be had: the rows then have no peer.
pub fn measure() -> Option<Deno> {
    let home = measure::target().join("deno");
    std::fs::create_dir_all(&home).ok()?;
    let deno = install(&home)?;
    let expected = calldata();
    let scripts = home.join("scripts");
    std::fs::create_dir_all(&scripts).ok()?;
    let write = |name: &str, text: &str| std::fs::write(scripts.join(name), text).ok();
    write("deno.json", r#"{"imports":{"@ditto/workflow":"./workflow.js","viem":"./viem.js"}}"#)?;
    write("workflow.js", WORKFLOW)?;
    write("viem.js", VIEM)?;
    write("context.js", &context().replace("SELECTOR", expected.get(..10)?))?;
    write("dense.ts", workload::DENSE)?;
    write("main.js", MAIN)?;
    write("worker.js", WORKER)?;
    write("workers.js", WORKERS)?;
    let run = |arguments: &[&str]| -> Option<String> {
        let output = command(&deno, &home, &scripts, arguments).stdout(Stdio::piped()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_string();
        if !text.ends_with(&expected) {
            println!("deno answered {text:?}, the sandbox {expected:?}: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(text)
    };

    processes::pin(&[0]);
    run(&["main.js"])?;
    let start = Instant::now();
    for _ in 0..RUNS {
        run(&["main.js"])?;
    }
    let runs_per_s = f64::from(RUNS) / start.elapsed().as_secs_f64();
    let start = Instant::now();
    for number in 0..RUNS {
        write("dense.ts", &format!("{}// {number} {:?}\n", workload::DENSE, std::time::SystemTime::now()))?;
        run(&["main.js"])?;
    }
    let first_runs_per_s = f64::from(RUNS) / start.elapsed().as_secs_f64();
    let count = RUNS.to_string();
    let seconds: f64 = run(&["workers.js", &count])?.split(' ').next()?.parse().ok()?;
    processes::pin(&[0, 1]);

    let mut waiting = command(&deno, &home, &scripts, &["main.js", "wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(waiting.stdout.take()?), &mut line).ok()?;
    let resident_bytes = processes::resident(&[waiting.id()]);
    waiting.kill().ok();
    waiting.wait().ok();
    Some(Deno { runs_per_s, first_runs_per_s, workers_per_s: f64::from(RUNS) / seconds, resident_bytes })
}

fn command(deno: &Path, home: &Path, scripts: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(deno);
    command
        .args(["run", "--quiet", "--no-prompt", "--allow-read=."])
        .args(arguments)
        .current_dir(scripts)
        .env("DENO_DIR", home.join("cache"))
        .env("DENO_NO_UPDATE_CHECK", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// npm's package into the target directory, once.
fn install(home: &Path) -> Option<PathBuf> {
    let deno = home.join("node_modules/@deno/linux-x64-glibc/deno");
    let package = home.join("node_modules/deno/package.json");
    let current = std::fs::read_to_string(&package).is_ok_and(|text| text.contains(&format!("\"{VERSION}\"")));
    if !current || !deno.exists() {
        println!("fetching deno {VERSION} from npm into {}", home.display());
        let package = format!("deno@{VERSION}");
        let status = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(home)
            .arg(package)
            .status();
        if !status.is_ok_and(|status| status.success()) || !deno.exists() {
            println!("no deno to compare with: npm cannot fetch it");
            return None;
        }
    }
    Some(deno)
}

/// What the sandbox makes of the workload, in hex.
fn calldata() -> String {
    let sandbox = Sandbox::start(SandboxConfig { workers: 1, ..SandboxConfig::default() }).unwrap();
    let report = sandbox.run_blocking(workload::job(workload::DENSE.as_bytes().into()), workload::Cache::new());
    sandbox.shutdown();
    let Outcome::Calls(calls) = report.outcome else { panic!("{report:?}") };
    format!("0x{}", hex::encode(&calls[0].data))
}
