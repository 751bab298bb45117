//! The sandbox: what the kernel gives it, and whether a run really comes to its end in it.

use std::sync::Arc;

use ditto_sandbox::{
    Input, Job, Outcome, ReadAnswer, ReadReply, ReadRequest, Reads, Sandbox, SandboxConfig, protections,
};

use super::finding::Findings;

const SECTION: &str = "sandbox";
/// A workflow that uses language, SDK and clock.
const PROBE: &str = r#"import { defineWorkflow } from "@ditto/workflow";
import { keccak256 } from "viem";
export default defineWorkflow({ run: (ctx) => [{ to: ctx.account, data: keccak256("0x") }] });
"#;
const ACCOUNT: &str = "0x00000000000000000000000000000000000000aa";

struct NoChain;

impl Reads for NoChain {
    fn read(&self, _request: ReadRequest, reply: ReadReply) {
        reply.answer(ReadAnswer::Failed);
    }
}

pub async fn examine(findings: &mut Findings, config: Option<&SandboxConfig>) {
    for layer in protections().layers {
        let what = layer.name.replace('_', " ");
        match (layer.holds, layer.required) {
            (true, _) => findings.ok(SECTION, what, layer.explanation),
            (false, true) => {
                findings.fail(SECTION, what, layer.explanation, "Run the operator on a kernel that has it.")
            }
            (false, false) => {
                findings.warn(SECTION, what, layer.explanation, "It runs without; mend it where you can.");
            }
        }
    }
    let config = SandboxConfig { workers: 1, ..config.cloned().unwrap_or_default() };
    // Starting and running block.
    let ran = tokio::task::spawn_blocking(move || probe(config)).await;
    match ran {
        Ok(Ok((Outcome::Calls(_), milliseconds))) => {
            findings.ok(SECTION, "a run", format!("a workflow ran in it, in {milliseconds} ms"));
        }
        Ok(Ok((outcome, _))) => {
            let fix = "Mend what is said above. When nothing is, look at the kernel's log: it names system calls that were refused.";
            findings.fail(
                SECTION,
                "a run",
                format!("a workflow that should return a call ended as {}", outcome.kind()),
                fix,
            );
        }
        Ok(Err(error)) => {
            let fix = "Mend what is said above; in a container, allow seccomp and, as far as there is one, Landlock.";
            findings.fail(SECTION, "a run", error, fix);
        }
        Err(_) => findings.fail(SECTION, "a run", "it panicked", "Report this."),
    }
}

fn probe(config: SandboxConfig) -> Result<(Outcome, u128), String> {
    let limits = config.limits.clone();
    let sandbox = Sandbox::start(config).map_err(|error| error.to_string())?;
    let input = Input {
        workflow: "1".into(),
        occurrence: "1".into(),
        account: ACCOUNT.into(),
        slot: 0,
        timestamp_ms: 0,
        seed: [0; 32],
        args_json: "{}".into(),
        chains: Vec::new(),
    };
    let report = sandbox.run_blocking(Job { code: PROBE.as_bytes().into(), input, limits }, Arc::new(NoChain));
    sandbox.shutdown();
    Ok((report.outcome, report.wall.as_millis()))
}
