//! What the integration tests share: a sandbox with the helper zygote, inputs, and readers.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ditto_sandbox::{
    Input, Job, Limits, Outcome, ReadAnswer, ReadReply, ReadRequest, Reads, Report, Sandbox, SandboxConfig,
};

pub const CHAIN: u64 = 31337;

pub fn config(workers: usize) -> SandboxConfig {
    SandboxConfig { workers, program: Some(env!("CARGO_BIN_EXE_ditto-zygote").into()), ..SandboxConfig::default() }
}

pub fn sandbox(workers: usize) -> Sandbox {
    Sandbox::start(config(workers)).expect("the sandbox starts")
}

pub fn input(args: &str) -> Input {
    Input {
        workflow: "7".into(),
        occurrence: ((7u128 << 64) | 42).to_string(),
        account: "0x1111111111111111111111111111111111111111".into(),
        slot: 42,
        timestamp_ms: 1_700_000_000_123,
        seed: [7; 32],
        args_json: args.into(),
        chains: vec![CHAIN],
    }
}

pub fn job(code: &str) -> Job {
    Job { code: code.as_bytes().into(), input: input("{}"), limits: Limits::default() }
}

/// A job whose `run` has this body.
pub fn body(body: &str) -> Job {
    job(&format!(
        "import {{ defineWorkflow }} from \"@ditto/workflow\";\nexport default defineWorkflow({{ async run(ctx) {{\n{body}\n}} }});\n"
    ))
}

/// Answers with a function, at once.
pub struct Answers<F>(pub F);

impl<F: Fn(&ReadRequest) -> ReadAnswer + Send + Sync + 'static> Reads for Answers<F> {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        reply.answer((self.0)(&request));
    }
}

pub fn none() -> Arc<dyn Reads> {
    Arc::new(Answers(|_: &ReadRequest| ReadAnswer::Failed))
}

pub fn always(result: &'static str) -> Arc<dyn Reads> {
    Arc::new(Answers(move |_: &ReadRequest| ReadAnswer::Ok(result.into())))
}

/// Keeps replies until somebody answers them.
#[derive(Default)]
pub struct Held(pub Mutex<Vec<(ReadRequest, ReadReply)>>);

impl Reads for Held {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        self.0.lock().unwrap().push((request, reply));
    }
}

pub fn word(value: u64) -> String {
    format!("\"0x{value:064x}\"")
}

#[track_caller]
pub fn threw(report: &Report) -> (String, Option<u32>) {
    match &report.outcome {
        Outcome::Threw { message, line } => (message.clone(), *line),
        other => panic!("expected Threw, got {other:?}"),
    }
}

pub fn wait_until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What the sandboxes of this process have measured: the sum of a metric's series, 0 when there is none. Call it before a
/// sandbox starts, too: what is registered before goes nowhere.
pub fn measured(name: &str) -> f64 {
    static RECORDED: std::sync::OnceLock<metrics_exporter_prometheus::PrometheusHandle> = std::sync::OnceLock::new();
    let recorded = RECORDED.get_or_init(|| {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).expect("nothing else records");
        handle
    });
    let rendered = recorded.render();
    let series = rendered.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    let ours = series.filter(|(rest, _)| rest.is_empty() || rest.starts_with('{'));
    ours.filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}
