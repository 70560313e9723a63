//! What must be true of a host: rules as data, each judged by a pure function of the wish and what was observed.

mod daemon;
mod flintlock;
mod network;
mod system;
mod virtualization;

use serde::Deserialize;
use serde::Serialize;

use crate::machine::Answers;
use crate::machine::Unknown;
use crate::observe::Api;
use crate::observe::Observed;
use crate::observe::read;
use crate::wish::Runtime;
use crate::wish::Wish;

pub(crate) use system::tools;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is as it must be.
    Pass,
    /// It is not.
    Fail,
    /// It is not as it should be, and works all the same.
    Warn,
    /// It does not matter for this kind of host, or could not be told.
    Skip,
}

/// One check's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, which stays the same.
    pub id: String,
    /// What it is about.
    pub title: String,
    /// How it ended.
    pub status: Status,
    /// Without it this kind of host does not work.
    pub required: bool,
    /// What is.
    pub found: String,
    /// What should be.
    pub expected: String,
    /// What it is good for.
    pub why: String,
    /// What to do; empty where there is nothing to do.
    pub fix: String,
}

/// All checks of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which host.
    pub host: String,
    /// What kind of host it is to be.
    pub runtime: Runtime,
    /// All that is required passes.
    pub ok: bool,
    /// Each check.
    pub checks: Vec<Check>,
}

impl Report {
    /// 0 where all that is required passes, 1 where something does not, 2 where something that is required could not be told.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let required = |status| self.checks.iter().any(|check| check.required && check.status == status);
        if required(Status::Fail) {
            1
        } else if required(Status::Skip) {
            2
        } else {
            0
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What should be. Words in braces stand for values of the wish: `{bridge}`.
    pub expected: &'static str,
    /// What it is good for.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    need: fn(&Wish) -> Need,
    judge: fn(&Wish, &Observed) -> Judged,
}

/// Whether a rule matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Required,
    Advised,
    /// It does not, and why.
    Not(&'static str),
}

impl Need {
    fn advised_if(holds: bool, otherwise: &'static str) -> Self {
        if holds { Self::Advised } else { Self::Not(otherwise) }
    }

    fn required_if(holds: bool, otherwise: &'static str) -> Self {
        if holds { Self::Required } else { Self::Not(otherwise) }
    }
}

fn required(_: &Wish) -> Need {
    Need::Required
}

fn advised(_: &Wish) -> Need {
    Need::Advised
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    status: Status,
    found: String,
    fix: Option<String>,
}

type Judged = Result<Verdict, Unknown>;

fn verdict(status: Status, found: impl Into<String>) -> Judged {
    Ok(Verdict { status, found: found.into(), fix: None })
}

fn pass(found: impl Into<String>) -> Judged {
    verdict(Status::Pass, found)
}

fn warn(found: impl Into<String>) -> Judged {
    verdict(Status::Warn, found)
}

fn fail(found: impl Into<String>) -> Judged {
    verdict(Status::Fail, found)
}

/// A failure with another remedy than the rule's.
fn fail_and(found: impl Into<String>, fix: impl Into<String>) -> Judged {
    Ok(Verdict { status: Status::Fail, found: found.into(), fix: Some(fix.into()) })
}

/// Passes if it holds.
fn must(holds: bool, found: impl Into<String>) -> Judged {
    if holds { pass(found) } else { fail(found) }
}

/// All rules, in the order in which one thing rests on another.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [system::RULES, virtualization::RULES, network::RULES, daemon::RULES, flintlock::RULES].into_iter().flatten()
}

/// Judges a host.
#[must_use]
pub fn judge(host: &str, wish: &Wish, observed: &Observed) -> Report {
    report(host, wish, rules().map(|rule| rule.check((rule.need)(wish), wish, observed)).collect())
}

/// Judges a host by what a client of its daemon sees, without a login there. Nothing else is known of it, so all of that is required.
#[must_use]
pub fn judge_from_outside(wish: &Wish, api: Api) -> Report {
    let host = api.address.clone();
    let observed = Observed { api: Some(api), ..read(wish, &Answers::default(), &(0..=0)) };
    let seen = rules().filter(|rule| daemon::OUTSIDE.contains(&rule.id));
    report(&host, wish, seen.map(|rule| rule.check(Need::Required, wish, &observed)).collect())
}

fn report(host: &str, wish: &Wish, checks: Vec<Check>) -> Report {
    let ok = checks.iter().all(|check| !check.required || matches!(check.status, Status::Pass | Status::Warn));
    Report { host: host.to_owned(), runtime: wish.runtime, ok, checks }
}

impl Rule {
    fn check(&self, need: Need, wish: &Wish, observed: &Observed) -> Check {
        let (mut status, found, fix) = match need {
            Need::Not(why) => (Status::Skip, why.to_owned(), Some(String::new())),
            Need::Required | Need::Advised => match (self.judge)(wish, observed) {
                Ok(Verdict { status: Status::Pass, found, .. }) => (Status::Pass, found, Some(String::new())),
                Ok(verdict) => (verdict.status, verdict.found, verdict.fix),
                Err(Unknown(why)) => (Status::Skip, format!("cannot tell: {why}"), None),
            },
        };
        if need == Need::Advised && status == Status::Fail {
            status = Status::Warn;
        }
        Check {
            id: self.id.into(),
            title: self.title.into(),
            status,
            required: need == Need::Required,
            found,
            expected: filled(self.expected, wish),
            why: filled(self.why, wish),
            fix: filled(fix.as_deref().unwrap_or(self.fix), wish),
        }
    }
}

/// Puts the wish's values in place of words in braces.
fn filled(text: &str, wish: &Wish) -> String {
    let some = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_owned());
    let values = [
        ("{bridge}", wish.bridge_name.clone()),
        ("{parent}", some(wish.parent_iface.clone(), "the parent interface")),
        ("{gateway}", some(wish.gateway().map(|net| net.to_string()), "an address")),
        ("{link}", some(wish.gateway_link().map(str::to_owned), "the interface")),
        ("{subnet}", some(wish.subnet.map(|net| net.to_string()), "the subnet")),
        ("{vip}", some(wish.vip.map(|vip| vip.to_string()), "the VIP")),
        ("{nat}", some(wish.nat_via.clone(), "the uplink")),
        ("{unit}", wish.unit().trim_end_matches(".service").to_owned()),
        ("{program}", wish.program().to_owned()),
        ("{endpoint}", wish.grpc_endpoint.clone()),
        ("{state}", wish.state_dir.clone()),
        ("{containerd}", wish.containerd.unit.trim_end_matches(".service").to_owned()),
        ("{socket}", wish.containerd.socket.clone()),
        ("{config}", wish.containerd.config.clone()),
        ("{pool}", wish.containerd.pool.clone()),
        ("{namespace}", wish.containerd.namespace.clone()),
        ("{modules}", wish.modules().join(" ")),
    ];
    values.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

#[cfg(test)]
mod tests;
