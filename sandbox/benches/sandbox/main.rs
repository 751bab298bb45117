//! How fast the sandbox is with all of its confinement, and beside what. Writes `target/bench/sandbox.json`.
//!
//! ```text
//! cargo bench -p ditto-sandbox --bench sandbox                      everything but the soak; about a minute
//! cargo bench -p ditto-sandbox --bench sandbox -- --soak [RUNS]     100,000 runs of all kinds; fails when memory grows
//! cargo bench -p ditto-sandbox --bench sandbox -- --only seen       one part: seen, first, scaling, memory, deadline, deno
//! ```
//! The workload is `dense.ts`: 10 KB of TypeScript, three reads answered from memory, one ABI encoding.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod deno;
mod measure;
mod processes;
mod soak;
mod workload;

use std::time::Duration;

use serde_json::{Value, json};

fn main() {
    ditto_sandbox::enter_if_zygote();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).cloned().unwrap_or_default())
    };
    if let Some(runs) = after("--soak") {
        return soak::soak(runs.parse().unwrap_or(100_000));
    }
    let only = after("--only");
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let time = Duration::from_secs(after("--seconds").and_then(|text| text.parse().ok()).unwrap_or(5));

    let mut rows = Vec::new();
    let deno = if wanted("deno") || wanted("seen") { deno::measure() } else { None };
    let (mut seen, mut first) = (None, None);
    if wanted("seen") {
        let speed = measure::seen(1, &[0], time);
        let peer = deno.as_ref().map(|deno| ("deno run per script", deno.runs_per_s));
        rows.push(row("sandbox.runs_per_s_core", speed.wall, "1/s", peer, &speed.note()));
        let peer = deno.as_ref().map(|deno| ("a Worker in Deno per run", deno.workers_per_s));
        rows.push(row(
            "sandbox.runs_per_s_core_beside_worker",
            speed.wall,
            "1/s",
            peer,
            "no permissions, code in memory",
        ));
        seen = Some(speed);
    }
    if wanted("first") {
        let speed = measure::first(&[0], time);
        let peer = deno.as_ref().map(|deno| ("deno run per script, never seen", deno.first_runs_per_s));
        rows.push(row("sandbox.first_runs_per_s_core", speed.wall, "1/s", peer, &speed.note()));
        first = Some(speed);
    }
    if let (Some(seen), Some(first)) = (&seen, &first) {
        // Of processor time rather than of the clock: what others on this machine do counts for less.
        rows.push(row("sandbox.run_cpu_us", 1e6 / seen.cpu, "us", Some(("of code never seen", 1e6 / first.cpu)), ""));
    }
    if wanted("scaling") && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        let one = measure::seen(1, &[0], time);
        let two = measure::seen(2, &[0, 1], time);
        rows.push(row("sandbox.runs_per_s_2_cores", two.wall, "1/s", Some(("one core", one.wall)), &two.note()));
    }
    if wanted("memory") {
        let memory = measure::hundred_in_flight();
        let note = format!(
            "zygote, template and {} waiting runs together, shared pages counted once; {:.2} MiB for one run more",
            measure::IN_MEMORY,
            mebibytes(memory.each)
        );
        let peer =
            deno.as_ref().map(|deno| ("100 processes of deno run", deno.resident_bytes as f64 * 100.0 / MEBIBYTE));
        rows.push(row("sandbox.memory_100_in_flight", mebibytes(memory.all), "MiB", peer, &note));
    }
    if wanted("deadline") {
        let overruns = measure::overruns();
        let note = format!("{} scripts that never end, by class; deadline {} ms", overruns.len(), measure::DEADLINE_MS);
        for (name, share) in [("sandbox.deadline_overrun_p50", 0.5), ("sandbox.deadline_overrun_p99", 0.99)] {
            let at = ((overruns.len() - 1) as f64 * share).round() as usize;
            rows.push(row(name, overruns[at].as_secs_f64() * 1e3, "ms", None, &note));
        }
    }
    for row in &rows {
        println!("{row}");
    }
    if only.is_none() {
        let file = measure::target().join("bench/sandbox.json");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, serde_json::to_vec_pretty(&rows).unwrap()).unwrap();
        println!("written to {}", file.display());
    }
}

const MEBIBYTE: f64 = 1_048_576.0;

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBIBYTE
}

fn row(name: &str, value: f64, unit: &str, peer: Option<(&str, f64)>, note: &str) -> Value {
    let round = |value: f64| (value * 100.0).round() / 100.0;
    json!({
        "name": name,
        "value": round(value),
        "unit": unit,
        "peer": peer.map(|(name, _)| name),
        "peer_value": peer.map(|(_, value)| round(value)),
        "ratio": peer.map(|(_, of_peer)| round(value / of_peer)),
        "note": note,
    })
}
