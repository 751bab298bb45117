//! What was found, and what to do about it.

use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// The operator runs, with something to look at.
    Warn,
    /// The operator does not run, or does not do its work.
    Fail,
    /// Not looked at: something else has to be mended first.
    Skip,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it belongs to, such as `sandbox`.
    pub section: &'static str,
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub detail: String,
    /// What to do, when there is something to do.
    pub fix: Option<String>,
}

/// Findings, gathered.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// All is well.
    pub fn ok(&mut self, section: &'static str, what: impl Into<String>, detail: impl Into<String>) {
        self.add(section, what.into(), Status::Ok, detail.into(), None);
    }

    /// Worth a look.
    pub fn warn(
        &mut self,
        section: &'static str,
        what: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(section, what.into(), Status::Warn, detail.into(), Some(fix.into()));
    }

    /// Has to be mended.
    pub fn fail(
        &mut self,
        section: &'static str,
        what: impl Into<String>,
        detail: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.add(section, what.into(), Status::Fail, detail.into(), Some(fix.into()));
    }

    /// Was not looked at.
    pub fn skip(&mut self, section: &'static str, what: impl Into<String>, detail: impl Into<String>) {
        self.add(section, what.into(), Status::Skip, detail.into(), None);
    }

    /// One that was made elsewhere.
    pub fn take(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    fn add(&mut self, section: &'static str, what: String, status: Status, detail: String, fix: Option<String>) {
        self.0.push(Finding { section, what, status, detail, fix });
    }

    /// All of them.
    #[must_use]
    pub fn list(self) -> Vec<Finding> {
        self.0
    }
}
