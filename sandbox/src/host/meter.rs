//! What is measured of the sandbox. All workers add to the same gauges, each by what changed on its side.

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use super::{run::Origin, templates::Templates};
use crate::limits::SandboxConfig;

const ZYGOTES: &str = "ditto_sandbox_zygotes";
const LOST: &str = "ditto_sandbox_zygotes_lost_total";
const CHILDREN: &str = "ditto_sandbox_children";
const CHILDREN_LIMIT: &str = "ditto_sandbox_children_limit";
const FORKS: &str = "ditto_sandbox_forks_total";
const TEMPLATES: &str = "ditto_sandbox_templates";
const TEMPLATES_BYTES: &str = "ditto_sandbox_templates_bytes";
const TEMPLATES_LIMIT: &str = "ditto_sandbox_templates_limit_bytes";
const GIVEN_UP: &str = "ditto_sandbox_templates_given_up_total";
const QUEUE_DEPTH: &str = "ditto_sandbox_queue_depth";
const QUEUE_CAPACITY: &str = "ditto_sandbox_queue_capacity";

/// Help texts and units.
pub fn describe_metrics() {
    describe_gauge!(ZYGOTES, Unit::Count, "Zygotes that can fork; there is one for each of sandbox.workers.");
    describe_counter!(LOST, Unit::Count, "Zygotes that died, hung or did not start; each is replaced.");
    describe_gauge!(CHILDREN, Unit::Count, "Runs that have a process, or wait for the fork.");
    describe_gauge!(CHILDREN_LIMIT, Unit::Count, "How many of these there may be at once.");
    describe_counter!(
        FORKS,
        Unit::Count,
        "Runs forked, by origin: a template, which has compiled the code, or the zygote, whose child compiles it."
    );
    describe_gauge!(TEMPLATES, Unit::Count, "Templates: processes that have compiled one workflow, or are about to.");
    describe_gauge!(TEMPLATES_BYTES, Unit::Bytes, "Memory of the templates' own, as weighed after compiling.");
    describe_gauge!(TEMPLATES_LIMIT, Unit::Bytes, "Memory that templates may take (sandbox.templates_bytes).");
    describe_counter!(GIVEN_UP, Unit::Count, "Templates that failed; their workflows are compiled in every run.");
    describe_gauge!(QUEUE_DEPTH, Unit::Count, "Jobs that wait for a worker, as of the last time one looked.");
    describe_gauge!(QUEUE_CAPACITY, Unit::Count, "Jobs that may wait (sandbox.queue).");
}

/// One worker's share.
pub(crate) struct Meter {
    zygotes: Share,
    children: Share,
    templates: Share,
    templates_bytes: Share,
    queue_depth: Gauge,
    lost: Counter,
    given_up: Counter,
    from_zygote: Counter,
    from_template: Counter,
}

impl Meter {
    pub(crate) fn new(config: &SandboxConfig) -> Meter {
        gauge!(CHILDREN_LIMIT).set(config.children_per_worker.saturating_mul(config.workers) as f64);
        gauge!(TEMPLATES_LIMIT).set(config.templates_bytes as f64);
        gauge!(QUEUE_CAPACITY).set(config.queue as f64);
        Meter {
            zygotes: Share::of(gauge!(ZYGOTES)),
            children: Share::of(gauge!(CHILDREN)),
            templates: Share::of(gauge!(TEMPLATES)),
            templates_bytes: Share::of(gauge!(TEMPLATES_BYTES)),
            queue_depth: gauge!(QUEUE_DEPTH),
            lost: zero(counter!(LOST)),
            given_up: zero(counter!(GIVEN_UP)),
            from_zygote: zero(counter!(FORKS, "origin" => "zygote")),
            from_template: zero(counter!(FORKS, "origin" => "template")),
        }
    }

    pub(crate) fn show(&mut self, ready: bool, children: usize, templates: &Templates, waiting: usize) {
        let (mut count, mut bytes) = (0, 0);
        for (_, template) in templates.iter() {
            count += 1;
            bytes += template.bytes;
        }
        self.zygotes.is(u64::from(ready));
        self.children.is(children as u64);
        self.templates.is(count);
        self.templates_bytes.is(bytes);
        self.queue_depth.set(waiting as f64);
    }

    pub(crate) fn forked(&self, origin: Origin) {
        match origin {
            Origin::Zygote => self.from_zygote.increment(1),
            Origin::Template { .. } => self.from_template.increment(1),
        }
    }

    pub(crate) fn lost_zygote(&self) {
        self.lost.increment(1);
    }

    pub(crate) fn lost_template(&self) {
        self.given_up.increment(1);
    }
}

/// What one worker adds to a gauge; it takes that away again when it ends.
struct Share {
    gauge: Gauge,
    now: u64,
}

impl Share {
    fn of(gauge: Gauge) -> Share {
        gauge.increment(0.0);
        Share { gauge, now: 0 }
    }

    fn is(&mut self, value: u64) {
        if value != self.now {
            self.gauge.increment(value as f64 - self.now as f64);
            self.now = value;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.is(0);
    }
}

/// A counter is exported once it was touched.
fn zero(counter: Counter) -> Counter {
    counter.increment(0);
    counter
}
