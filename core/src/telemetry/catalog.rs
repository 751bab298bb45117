//! What a binary measures, as a document: the descriptions that its code registers, caught instead of recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, with_local_recorder};

/// One metric as its code describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The unit of its value; none where its name says it.
    pub unit: Option<&'static str>,
    /// The help text.
    pub help: String,
}

/// Every metric that `describe` describes, by name.
pub fn catalog(describe: impl FnOnce()) -> BTreeMap<String, Described> {
    let collector = Collector::default();
    with_local_recorder(&collector, describe);
    collector.0.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// The catalog as a Markdown table, sorted by name.
#[must_use]
pub fn table(catalog: &BTreeMap<String, Described>) -> String {
    let mut text = String::from("| Metric | Type | Unit | Meaning |\n|---|---|---|---|\n");
    for (name, described) in catalog {
        let Described { kind, unit, help } = described;
        // Writing to a String does not fail.
        let _infallible = writeln!(text, "| `{name}` | {kind} | {} | {help} |", unit.unwrap_or(""));
    }
    text
}

#[derive(Default)]
struct Collector(Mutex<BTreeMap<String, Described>>);

impl Collector {
    fn note(&self, kind: &'static str, name: &KeyName, unit: Option<Unit>, help: &SharedString) {
        // "Count" says nothing that the name does not.
        let unit = unit.filter(|unit| *unit != Unit::Count).map(|unit| unit.as_str());
        let described = Described { kind, unit, help: help.to_string() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.as_str().to_owned(), described);
    }
}

impl Recorder for Collector {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.note("counter", &name, unit, &help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.note("gauge", &name, unit, &help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.note("histogram", &name, unit, &help);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[cfg(test)]
mod tests {
    use metrics::{describe_counter, describe_histogram};

    use super::*;

    #[test]
    fn descriptions_are_caught_and_written_as_a_table() {
        let found = catalog(|| {
            describe_histogram!("b_seconds", Unit::Seconds, "How long.");
            describe_counter!("a_total", "How many.");
        });
        assert_eq!(
            table(&found),
            "| Metric | Type | Unit | Meaning |\n|---|---|---|---|\n\
             | `a_total` | counter |  | How many. |\n| `b_seconds` | histogram | seconds | How long. |\n"
        );
    }
}
