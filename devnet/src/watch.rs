//! The counted slots: watches them, shows them, does harm when told to, and knows when nothing more can come.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ditto_core::clock::{Clock, Slot, SlotClock, SystemClock};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::audit::{self, Audit};
use crate::keys::{Role, Seed};
use crate::nodes::{AGGREGATOR, Nodes};
use crate::observe::chain::{self, ChainWatch};
use crate::observe::ledger::Ledger;
use crate::observe::scrape::Scraper;
use crate::observe::slots::SlotLine;
use crate::observe::{Shared, lock};
use crate::options::Options;
use crate::process::Children;
use crate::report::{Killed, Report};
use crate::setup::Network;
use crate::setup::workflows::{Example, Published, Window};
use crate::transactions::Sender;
use crate::{faults, gas, signals};

/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(250);
/// How long before its slot the elected operator is killed: late enough that it has begun to prepare.
const KILL_BEFORE_MS: u64 = 100;
/// After how many slots a slot is shown although something in it is still open.
const SHOW_AFTER: u64 = 4;
/// How many slots are watched on when all is executed: for what must not come, a second execution.
const SETTLE: u64 = 1;

/// An operator to be killed.
struct Kill {
    slot: Slot,
    /// The slot's performers by rank; the first one is killed.
    performers: Vec<String>,
    at_ms: u64,
    done: bool,
}

/// The aggregator's deaths.
#[derive(Default)]
struct Deaths {
    /// When it is killed and started again, the next one first.
    at_ms: VecDeque<u64>,
    restart_at_ms: Option<u64>,
    /// When it is killed for good.
    last_ms: Option<u64>,
    gone: bool,
    kills: u64,
    chance: u64,
}

impl Deaths {
    fn planned(options: &Options, from_ms: u64, to_ms: u64, lost_at_ms: Option<u64>) -> Self {
        // The same seed kills at the same moments, as far as the machine lets it.
        let seed = alloy::primitives::keccak256(&options.seed);
        let mut deaths = Self { chance: u64::from_be_bytes(std::array::from_fn(|i| seed[i])) | 1, ..Self::default() };
        let to_ms = lost_at_ms.unwrap_or(to_ms);
        let portion = to_ms.saturating_sub(from_ms) / options.kill_aggregator.max(1);
        for index in 0..options.kill_aggregator {
            let jitter = deaths.below(portion.max(1));
            deaths.at_ms.push_back(from_ms + index * portion + jitter);
        }
        deaths.last_ms = lost_at_ms;
        deaths
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % limit
    }

    fn is_down(&self) -> bool {
        self.gone || self.restart_at_ms.is_some()
    }
}

/// A run's counted slots.
pub struct Watch<'a> {
    options: &'a Options,
    network: &'a Network,
    nodes: &'a Nodes,
    window: Window,
    ledger: Shared<Ledger>,
    chain: ChainWatch,
    following: JoinHandle<anyhow::Result<()>>,
    signalling: Option<JoinHandle<anyhow::Result<()>>>,
    stopping: CancellationToken,
    scraper: Scraper,
    shown: Slot,
    kill: Option<Kill>,
    deaths: Deaths,
    _stop: DropGuard,
}

impl<'a> Watch<'a> {
    /// Begins to follow the chain.
    ///
    /// # Errors
    /// When what is due cannot be computed.
    pub fn new(
        options: &'a Options,
        network: &'a Network,
        nodes: &'a Nodes,
        window: Window,
        published: &[Published],
    ) -> anyhow::Result<Self> {
        let honest: Vec<_> = published.iter().filter(|one| one.example != Example::Hostile).cloned().collect();
        let module = network.contracts.validator_module;
        let ledger = Ledger::new(network.config.schedule(), &honest, window, module)?;
        let ledger = Shared::new(ledger.into());
        let signal = network.demo.signal;
        let chain = ChainWatch::new(network.chain.provider.clone(), network.contracts, signal, ledger.clone());
        let stop = CancellationToken::new();
        let following = tokio::spawn(chain.clone().follow(stop.clone()));
        let (scraper, shown) = (Scraper::default(), window.first);
        let (signalling, stopping) = (None, stop.clone());
        let _stop = stop.drop_guard();
        Ok(Self {
            options,
            network,
            nodes,
            window,
            ledger,
            chain,
            following,
            signalling,
            stopping,
            scraper,
            shown,
            kill: None,
            deaths: Deaths::default(),
            _stop,
        })
    }

    /// Watches until everything due is executed, or nothing more can come.
    ///
    /// # Errors
    /// When a process that should run has ended, or the chain does not answer.
    pub async fn run(&mut self, children: &mut Children) -> anyhow::Result<()> {
        let schedule = self.network.config.schedule();
        let start_ms = |slot: Slot| schedule.start_seconds(slot) * 1_000;
        self.kill = self.planned_kill().await?;
        let key = Seed::new(&self.options.seed).ecdsa(Role::Signaller, 0)?;
        let sender = Sender::funded(&self.network.chain, key).await?;
        let clock = SlotClock::new(schedule, Arc::new(SystemClock));
        let signals = signals::give(sender, self.network.demo, clock, self.window, self.stopping.clone());
        self.signalling = Some(tokio::spawn(signals));
        let lost_at = self.options.lose_aggregator_at.map(|index| start_ms(self.window.first + index));
        self.deaths =
            Deaths::planned(self.options, start_ms(self.window.first), start_ms(self.window.last() + 1), lost_at);
        let rules = &self.network.config;
        // The last attempt at the last slot's occurrences, and its validity.
        let last_attempt = self.window.last() + rules.attempt_every() * rules.attempts.saturating_sub(1);
        let deadline = start_ms(last_attempt + rules.validity_slots + 1);
        let mut settled_at = None;
        self.say(&format!("\n{}", SlotLine::head()));
        loop {
            self.strike(children).await;
            self.kill_aggregator(children)?;
            self.check(children).await?;
            self.scraper.scrape(self.nodes).await;
            let now = SystemClock.now_ms();
            self.show(now);
            let (due, executed) = {
                let ledger = lock(&self.ledger);
                (ledger.due(None), ledger.executed(None))
            };
            let settle =
                (due == executed).then(|| *settled_at.get_or_insert(now) + SETTLE * rules.slot_seconds * 1_000);
            let over = now >= start_ms(self.window.last() + 1);
            if over && (now >= deadline || settle.is_some_and(|settle| now >= settle)) {
                self.show(u64::MAX);
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads what only the end can tell, and puts the report together.
    ///
    /// # Errors
    /// When the chain does not answer.
    pub async fn report(&mut self) -> anyhow::Result<Report> {
        let (provider, contracts) = (&self.network.chain.provider, &self.network.contracts);
        chain::count(provider, self.network.demo.counter, &self.ledger).await?;
        let gas = gas::measure(provider, contracts, &self.chain.submissions().transactions).await?;
        let killed = self.killed().await?;
        let report = Report::new(self.options, self.window, &lock(&self.ledger), &self.scraper, self.nodes, gas);
        Ok(Report { killed, ..report })
    }

    /// Whom to kill, and when.
    async fn planned_kill(&self) -> anyhow::Result<Option<Kill>> {
        let Some(index) = self.options.kill_elected_at else { return Ok(None) };
        let slot = self.window.first + index;
        let performers = faults::performers(self.network, slot).await.context("cannot tell who is elected")?;
        let at_ms = self.network.config.schedule().start_seconds(slot) * 1_000 - KILL_BEFORE_MS;
        Ok(Some(Kill { slot, performers, at_ms, done: false }))
    }

    /// Kills at the planned moment, waiting for it when it comes before the next look.
    async fn strike(&mut self, children: &mut Children) {
        let before_ms = u64::try_from(2 * LOOK.as_millis()).unwrap_or_default() + 500;
        let now = SystemClock.now_ms();
        let Some(kill) = self.kill.as_mut().filter(|kill| !kill.done && now + before_ms >= kill.at_ms) else { return };
        let Some(elected) = kill.performers.first() else { return };
        tokio::time::sleep(Duration::from_millis(kill.at_ms.saturating_sub(now))).await;
        children.kill(elected);
        kill.done = true;
        let said = format!("{elected} is killed: it is elected for slot {}, which begins now", kill.slot);
        self.say(&format!("{:>10} {said}", ""));
    }

    /// Kills the aggregator and starts it again, when it is time for that.
    fn kill_aggregator(&mut self, children: &mut Children) -> anyhow::Result<()> {
        let now = SystemClock.now_ms();
        if let Some(at) = self.deaths.restart_at_ms.filter(|at| now >= *at) {
            children.restart(AGGREGATOR)?;
            self.deaths.restart_at_ms = None;
            tracing::debug!(at, "the aggregator is started again");
        }
        let last = self.deaths.last_ms.is_some_and(|at| now >= at) && !self.deaths.gone;
        let due = self.deaths.at_ms.front().is_some_and(|at| now >= *at) && !self.deaths.is_down();
        if !last && !due {
            return Ok(());
        }
        children.kill(AGGREGATOR);
        children.reap(AGGREGATOR);
        self.deaths.kills += 1;
        if last {
            (self.deaths.gone, self.deaths.restart_at_ms) = (true, None);
            self.say(&format!("{:>10} the aggregator is killed for good", ""));
        } else {
            self.deaths.at_ms.pop_front();
            let pause = self.deaths.below(400);
            self.deaths.restart_at_ms = Some(now + pause);
            self.say(&format!("{:>10} the aggregator is killed, and started again {pause} ms later", ""));
        }
        Ok(())
    }

    /// What the aggregator's ledger says, once it was killed for the last time.
    ///
    /// # Errors
    /// When it does not open.
    pub fn audit(&mut self, children: &mut Children, bin_dir: &Path, dir: &Path) -> anyhow::Result<Option<Audit>> {
        let Options { kill_aggregator, lose_aggregator_at, mute_aggregator, .. } = self.options;
        if *kill_aggregator == 0 && lose_aggregator_at.is_none() && !mute_aggregator {
            return Ok(None);
        }
        children.kill(AGGREGATOR);
        children.reap(AGGREGATOR);
        self.deaths.gone = true;
        let config = dir.join(format!("{AGGREGATOR}.toml"));
        let mut audit = audit::read(&bin_dir.join("ditto-aggregator"), &config, self.deaths.kills)?;
        for node in self.nodes.standby.iter().chain(&self.nodes.operators) {
            let heard = self.scraper.of(&node.name);
            let outcomes = heard.map(|h| h.metrics.by_label("ditto_aggregator_submissions_total", "outcome"));
            let mined = outcomes.and_then(|outcomes| outcomes.get("mined").copied()).unwrap_or_default();
            if mined > 0 {
                audit.taken_over_by.insert(node.name.clone(), mined);
                audit.taken_over += mined;
            }
        }
        Ok(Some(audit))
    }

    /// Who was killed, and who performed instead.
    async fn killed(&self) -> anyhow::Result<Option<Killed>> {
        let Some(kill) = self.kill.as_ref().filter(|kill| kill.done) else { return Ok(None) };
        let performer = self.chain.performer(kill.slot).await?;
        let operators = &self.network.operators;
        let performed_by = operators.iter().find(|one| Some(one.signer_address()) == performer).map(|one| one.name());
        let rank = kill.performers.iter().position(|name| performed_by.as_ref() == Some(name));
        let operator = kill.performers.first().cloned().unwrap_or_default();
        Ok(Some(Killed { slot: kill.slot, operator, performed_by, rank }))
    }

    async fn check(&mut self, children: &mut Children) -> anyhow::Result<()> {
        let nodes = self.nodes.all().map(|node| node.name.as_str());
        let killed = self.kill.as_ref().filter(|kill| kill.done).and_then(|kill| kill.performers.first());
        let aggregator_is_down = self.deaths.is_down();
        let alive = nodes
            .filter(|name| killed.is_none_or(|killed| killed != name))
            .filter(|name| !(aggregator_is_down && *name == AGGREGATOR));
        children.all_run(alive.chain([crate::anvil::NAME]))?;
        if self.following.is_finished() {
            (&mut self.following).await.context("the watch of the chain ended")??;
        }
        if let Some(signalling) = self.signalling.take_if(|signalling| signalling.is_finished()) {
            signalling.await.context("the signals ended")??;
        }
        Ok(())
    }

    /// Shows the slots that are complete, in order, and those that were waited for long enough.
    fn show(&mut self, now: u64) {
        let schedule = self.network.config.schedule();
        while self.shown <= self.window.last() {
            let line = SlotLine::of(self.shown, &lock(&self.ledger), &self.scraper, self.nodes);
            let shown_at = if line.executed == line.due { self.shown + 1 } else { self.shown + SHOW_AFTER };
            if now < schedule.start_seconds(shown_at) * 1_000 {
                return;
            }
            self.say(&line.to_string());
            self.shown += 1;
        }
    }

    fn say(&self, text: &str) {
        if !self.options.quiet {
            println!("{text}");
        }
    }
}
