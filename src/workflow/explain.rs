//! How a run ended, for its author: what happened, where, and what to do about it.

use std::ops::Range;
use std::time::Duration;

use ditto_sandbox::{Limits, Outcome, ReadAnswer, compile_module};

use super::place;
use super::recorder::Noted;
use super::units::{bytes, counted, grouped, millis};

/// What is known of a run besides its outcome.
pub struct Facts<'a> {
    /// The TypeScript.
    pub code: &'a str,
    /// The limits it ran under.
    pub limits: &'a Limits,
    /// How long it took.
    pub wall: Duration,
    /// What it read.
    pub reads: &'a [Noted],
    /// What went wrong outside of it, such as a node that did not answer.
    pub notes: &'a [String],
}

/// An ending in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in a sentence.
    pub headline: String,
    /// Where, in the author's file.
    pub line: Option<u32>,
    /// Which part of the line, in characters from 0; nothing where it is the line as a whole.
    pub columns: Option<Range<usize>>,
    /// What to do about it.
    pub advice: String,
}

/// Explains an ending. Nothing when all went well.
#[must_use]
pub fn explain(outcome: &Outcome, facts: &Facts<'_>) -> Option<Explanation> {
    let limits = facts.limits;
    let (headline, line, advice) = match outcome {
        Outcome::Calls(_) | Outcome::NothingToDo => return None,
        Outcome::Threw { message, line, .. } => (message.clone(), *line, of_exception(message, facts)),
        Outcome::TimedOut => (
            format!("The run did not end within {} ms and was stopped.", grouped(limits.wall_ms)),
            None,
            of_time(facts),
        ),
        Outcome::OutOfMemory => (
            format!("The run needed more than {} of memory.", bytes(limits.memory_bytes)),
            None,
            "Keep less at once: read ranges in pieces, do not build large arrays or strings. An endless loop that \
             appends to something ends like this, too."
                .into(),
        ),
        Outcome::TooManyReads => (
            format!("The run asked for more than {} reads.", limits.reads),
            None,
            "Have one read answer more: a view function that returns several values, or a contract that gathers them. \
             Reads in a loop should end at a fixed number."
                .into(),
        ),
        Outcome::OutputTooLarge => (
            format!("The run returned more than {} of calls.", bytes(limits.output_bytes.into())),
            None,
            "Do the work in several runs: do a part now, and the rest when it is due again.".into(),
        ),
        Outcome::CodeTooLarge => of_size(facts),
        Outcome::ForbiddenImport { specifier } => (
            format!("{specifier:?} cannot be imported."),
            line_with(facts.code, specifier),
            "A workflow is one file, and imports \"@ditto/workflow\" and \"viem\" and nothing else, by `import` at the top. \
             Copy what you need into the file."
                .into(),
        ),
        Outcome::UnsupportedChain { id } => (
            format!("Chain {id} is not one that the run may read."),
            line_with(facts.code, &id.to_string()),
            format!(
                "If the network's operators follow chain {id}, add a table [chains.{id}] with its `rpc` to workflow.toml \
                 (or give `--rpc {id}=URL`). If they do not, every run would end like this."
            ),
        ),
        Outcome::ReadFailed => of_read(facts),
        Outcome::BadOutput { message } => (
            format!("What `run` returned is not a list of calls: {message}"),
            line_with(facts.code, "return "),
            "Return `[{ to, value, data }]` with `to` an address, `value` a bigint of wei and `data` 0x-hexadecimal \
             (both may be left out), or return nothing."
                .into(),
        ),
        Outcome::Crashed => (
            "The sandbox's process died.".into(),
            None,
            "This is the machine's doing or a bug of ours, not yours, unless the code reaches for memory faster than it can \
             be counted. `ditto-operator doctor` says whether the sandbox works here."
                .into(),
        ),
    };
    let text = line.and_then(|line| facts.code.lines().nth((line as usize).checked_sub(1)?));
    let columns = text.and_then(|text| place::columns(outcome, text));
    Some(Explanation { headline, line, columns, advice })
}

fn of_exception(message: &str, facts: &Facts<'_>) -> String {
    if message.contains("\" has no export named \"") {
        return "Operators provide a part of viem; the types in sdk/viem.d.ts list all of it.".into();
    }
    // The engine names so, too, what these two functions cannot read.
    if message.starts_with("SyntaxError") && compile_module(facts.code, facts.limits.code_nesting).is_ok() {
        return "The code itself is right: BigInt(…) or JSON.parse(…) was given a text that it cannot read. BigInt takes whole \
                numbers in digits, such as \"1000\"; an amount with a point is read by parseEther or parseUnits of viem. \
                `ctx.args` is parsed already."
            .into();
    }
    if message.ends_with("is not a function") {
        return "Is the name right, and is it there in this place? The types in sdk/ list what `ctx`, a chain and viem have."
            .into();
    }
    if message.starts_with("SyntaxError") {
        return "The code does not compile: correct the line.".into();
    }
    if message.starts_with("CallReverted") {
        return "A contract that was read reverted. If that is to be expected, catch it: \
                `try { … } catch (e) { if (e.name !== \"CallReverted\") throw e; … }`. If not, is the address right, on this \
                chain and at this block?"
            .into();
    }
    if message.contains("is there a contract at the address") {
        return "The address has no code, on this chain and at this block. Is it the right one, under [args] or in the code?"
            .into();
    }
    if message.contains("never finished") {
        return "Await only what comes to an end: reads do; there are no timers and no network.".into();
    }
    if message.contains("is not defined") {
        return "A run has JavaScript, @ditto/workflow and viem, and nothing of a browser or Node: no fetch, process, \
                setTimeout or require."
            .into();
    }
    if message.contains("default export") {
        return "End the file with `export default defineWorkflow({ async run(ctx) { … } })`.".into();
    }
    if message.starts_with("TypeError") || message.contains("convert") {
        return "Is everything that the code takes from `ctx.args` under [args] in workflow.toml, and of the right type? \
                Large numbers are written as strings there, and made with BigInt(…) here."
            .into();
    }
    "Nobody caught it. Operators refuse an occurrence whose run throws, so return nothing when there is nothing to do."
        .into()
}

fn of_time(facts: &Facts<'_>) -> String {
    let reading: Duration = facts.reads.iter().map(|read| read.took).sum();
    let waiting = facts.reads.iter().filter(|read| read.answer.is_none()).count();
    if waiting > 0 {
        return format!(
            "{} had no answer yet: the node is slow, or does not answer. Try a nearer one with `--rpc`. Reads that do \
             not depend on each other go out together with `await Promise.all([…])`.",
            counted(waiting, "read")
        );
    }
    if reading * 2 > facts.wall {
        return format!(
            "Reads took {} of it. Those that do not depend on each other go out together with `await Promise.all([…])`; \
             operators have nodes nearby.",
            millis(reading)
        );
    }
    "The code itself takes that long. Look for a loop that does not end, or does much more than it should; the chain's \
     reads took no time worth mentioning."
        .into()
}

fn of_size(facts: &Facts<'_>) -> (String, Option<u32>, String) {
    let (size, limit) = (facts.code.len() as u64, u64::from(facts.limits.code_bytes));
    if size > limit {
        let headline = format!("The code has {}, {} are allowed.", bytes(size), bytes(limit));
        return (headline, None, "Take out what is not needed; tables of data are better read from a contract.".into());
    }
    let headline = format!("The code nests deeper than {} brackets.", facts.limits.code_nesting);
    (headline, None, "Write very long expressions and nested literals as several statements.".into())
}

fn of_read(facts: &Facts<'_>) -> (String, Option<u32>, String) {
    let failed = facts.reads.iter().find(|read| matches!(read.answer, Some(ReadAnswer::Failed)));
    let what = failed.map_or_else(String::new, |read| {
        let params: String = read.request.params.chars().take(200).collect();
        format!(" {} {params}", read.request.method)
    });
    let headline = format!("A read of chain {} failed:{what}", failed.map_or(0, |read| read.request.chain_id));
    let said = facts.notes.join("; ");
    // Clients' words for a block whose state they no longer keep.
    let pruned = ["missing trie node", "header not found", "state not available", "pruned", "historical state"];
    let advice = if pruned.iter().any(|words| said.contains(words)) {
        format!(
            "The node does not keep the state of that block ({said}). Choose a newer one, or an archive node with `--rpc`."
        )
    } else if said.is_empty() {
        format!(
            "The node gave no answer that could be used, or one of more than {}.",
            bytes(facts.limits.read_answer_bytes.into())
        )
    } else {
        format!("The node said: {said}")
    };
    (headline, None, advice)
}

/// The first line that holds the text.
fn line_with(code: &str, text: &str) -> Option<u32> {
    code.lines().position(|line| line.contains(text)).and_then(|index| u32::try_from(index + 1).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ditto_sandbox::ReadRequest;

    const CODE: &str = "import { a } from \"./a.ts\";\nexport default {};\n";

    fn told(outcome: &Outcome, reads: &[Noted], notes: &[String]) -> Explanation {
        let (limits, wall) = (Limits::default(), Duration::from_millis(100));
        explain(outcome, &Facts { code: CODE, limits: &limits, wall, reads, notes }).unwrap()
    }

    fn read(answer: Option<ReadAnswer>, ms: u64) -> Noted {
        let request = ReadRequest { chain_id: 7, method: "eth_getCode".into(), params: "[\"0x01\"]".into() };
        Noted { request, answer, took: Duration::from_millis(ms) }
    }

    #[test]
    fn every_ending_says_what_happened_and_what_to_do() {
        let all = [
            Outcome::TimedOut,
            Outcome::OutOfMemory,
            Outcome::TooManyReads,
            Outcome::OutputTooLarge,
            Outcome::CodeTooLarge,
            Outcome::ForbiddenImport { specifier: "./a.ts".into() },
            Outcome::UnsupportedChain { id: 10 },
            Outcome::ReadFailed,
            Outcome::BadOutput { message: "calls[0].to: 5 is not an address".into() },
            Outcome::Crashed,
        ];
        for outcome in all {
            let told = told(&outcome, &[], &[]);
            assert!(told.headline.len() > 10 && told.advice.len() > 30, "{outcome:?}: {told:?}");
        }
    }

    #[test]
    fn the_place_is_found_where_the_engine_names_none() {
        let told = told(&Outcome::ForbiddenImport { specifier: "./a.ts".into() }, &[], &[]);
        assert_eq!((told.line, told.columns), (Some(1), Some(18..26)));
    }

    #[test]
    fn what_a_run_cannot_read_is_no_mistake_of_its_syntax() {
        let advice = |message: &str, code: &str| {
            let (limits, wall) = (Limits::default(), Duration::ZERO);
            let outcome = Outcome::Threw { message: message.into(), line: Some(1) };
            explain(&outcome, &Facts { code, limits: &limits, wall, reads: &[], notes: &[] }).unwrap().advice
        };
        let good = "export default { run: (ctx) => BigInt(ctx.args.a) };\n";
        assert!(advice("SyntaxError: invalid BigInt literal", good).contains("whole numbers"));
        assert!(advice("SyntaxError: Unexpected token", "export default {").contains("does not compile"));
        assert!(advice("TypeError: getPrice is not a function", good).contains("name right"));
    }

    #[test]
    fn time_is_blamed_on_whom_it_was_spent() {
        assert!(told(&Outcome::TimedOut, &[], &[]).advice.contains("code itself"));
        assert!(
            told(&Outcome::TimedOut, &[read(Some(ReadAnswer::Ok("1".into())), 90)], &[]).advice.contains("Reads took")
        );
        assert!(told(&Outcome::TimedOut, &[read(None, 0)], &[]).advice.contains("1 read had no answer"));
    }

    #[test]
    fn a_failed_read_says_which_and_what_the_node_said() {
        let reads = [read(Some(ReadAnswer::Failed), 1)];
        let told_down = told(&Outcome::ReadFailed, &reads, &["no node of chain 7 answered".into()]);
        assert!(told_down.headline.contains("chain 7") && told_down.headline.contains("eth_getCode"), "{told_down:?}");
        assert!(told_down.advice.contains("no node of chain 7"), "{told_down:?}");
        let told_pruned = told(&Outcome::ReadFailed, &reads, &["node answered -32000: missing trie node".into()]);
        assert!(told_pruned.advice.contains("archive"), "{told_pruned:?}");
    }
}
