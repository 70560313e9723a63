//! What was found.

use serde::Deserialize;
use serde::Serialize;

use crate::picture::Unseen;
use crate::redact::redact;

/// How bad it is, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something does not work, and will not by waiting.
    Error,
    /// Something may be wrong.
    Warning,
    /// Nothing is wrong: it is harmless, or passes by itself.
    Note,
}

/// What speaks for a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which object, host, console or log, with the line's number.
    pub source: String,
    /// What it says.
    pub said: String,
}

/// A cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule that found it.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whom it concerns.
    pub about: String,
    /// The symptom as people meet it.
    pub symptom: String,
    /// What is wrong.
    pub cause: String,
    /// What speaks for it, in part where it is much.
    pub evidence: Vec<Evidence>,
    /// How much more of it there is.
    pub more: usize,
    /// What to do.
    pub fix: String,
}

/// Most pieces of evidence that are told.
const EVIDENCE: usize = 8;
/// Most characters of one.
const LONGEST: usize = 400;

impl Finding {
    pub(crate) fn new(severity: Severity, about: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            id: String::new(),
            severity,
            about: about.into(),
            symptom: String::new(),
            cause: cause.into(),
            evidence: Vec::new(),
            more: 0,
            fix: fix.into(),
        }
    }

    pub(crate) fn error(about: impl Into<String>, cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Severity::Error, about, cause, fix)
    }

    /// With one more piece of evidence.
    pub(crate) fn seen(self, source: impl Into<String>, said: &str) -> Self {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        self.with([Evidence { source: source.into(), said }])
    }

    /// With more of it.
    pub(crate) fn with(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        for mut evidence in evidence {
            evidence.said = redact(&evidence.said);
            if self.evidence.contains(&evidence) {
                continue;
            }
            if self.evidence.len() >= EVIDENCE {
                self.more += 1;
                continue;
            }
            evidence.said = shortened(evidence.said);
            self.evidence.push(evidence);
        }
        self
    }
}

/// Without its middle, where it is long: programs begin with who speaks, and end with why.
fn shortened(said: String) -> String {
    let over = said.chars().count().saturating_sub(LONGEST);
    if over == 0 {
        return said;
    }
    let head = LONGEST / 3;
    said.chars().take(head).chain(['…']).chain(said.chars().skip(head + over)).collect()
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Nothing is wrong as far as could be seen.
    pub ok: bool,
    /// What was looked at, in words.
    pub looked: Vec<String>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

impl Diagnosis {
    /// 0 where nothing is wrong, 1 where something is, 2 where nothing is as far as could be seen, but not everything could.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.findings.iter().any(|finding| finding.severity < Severity::Note) {
            1
        } else if self.unseen.is_empty() {
            0
        } else {
            2
        }
    }
}

#[cfg(test)]
mod tests;
