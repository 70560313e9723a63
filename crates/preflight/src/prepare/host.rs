//! The machine that is changed. It decides nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use capstead_reconcile::Effects;
use capstead_reconcile::Outcome;

use super::converge::Guard;
use super::converge::Situation;
use super::converge::Step;
use super::goals::Goal;
use super::journal;
use super::journal::Entry;
use super::journal::JournalError;
use super::scripts::Context;
use super::scripts::read;
use super::state::Key;
use super::state::State;
use crate::machine::AskError;
use crate::machine::Machine;
use crate::machine::Question;
use crate::machine::Unknown;
use crate::wish::Wish;

/// How long looking at one thing may take: all are looked at at once, and some hosts are slow.
const LOOK: Duration = Duration::from_secs(60);
/// How long packages and images may take.
const FETCH: Duration = Duration::from_secs(900);
/// How long anything else may take: a unit that starts has 90 s.
const CHANGE: Duration = Duration::from_secs(120);

/// The machine does not tell how it is.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// It cannot be asked.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something cannot be looked at.
    #[error("cannot look at {what}")]
    Unknown {
        /// What.
        what: String,
        /// Why not.
        source: Unknown,
    },
    /// Something else has the name of what is to be made.
    #[error("{what} is {why}, and is left alone; move it away")]
    Odd {
        /// What.
        what: String,
        /// What it is.
        why: String,
    },
}

/// A machine that is looked at and changed.
#[derive(Debug)]
pub struct Host<'a, M> {
    machine: &'a M,
    wish: &'a Wish,
    root: String,
}

impl<'a, M: Machine> Host<'a, M> {
    /// The machine. The wish says which runtime's images are meant.
    pub fn new(machine: &'a M, wish: &'a Wish) -> Self {
        Self { machine, wish, root: String::new() }
    }

    /// Files and folders are looked for, and made, below this folder.
    #[must_use]
    pub fn below(mut self, root: &str) -> Self {
        root.trim_end_matches('/').clone_into(&mut self.root);
        self
    }

    fn context(&self) -> Context<'_> {
        Context { wish: self.wish, root: &self.root }
    }

    /// Looks at what goals name, and at what the journal names. Without goals, as for restore, at the latter.
    ///
    /// # Errors
    /// Something cannot be told, or is not what may be changed.
    pub async fn look(&self, goals: &[Goal]) -> Result<Situation, LookError> {
        let context = self.context();
        let first = [Question::shell("journal", context.journal()).within(LOOK), Question::shell("guard", context.guard()).within(LOOK)];
        let answers = self.machine.ask(&first, LOOK + LOOK).await?;
        let unknown = |what: &str| {
            let what = what.to_owned();
            move |source| LookError::Unknown { what, source }
        };
        let journal: Vec<Entry> = journal::parse(answers.out("journal").map_err(unknown("the journal"))?)?;
        let guard = match answers.out("guard").map_err(unknown("the guard of the uplink"))?.trim() {
            "armed" => Guard::Armed,
            "fired" => Guard::Fired,
            _ => Guard::Idle,
        };
        let mut keys: Vec<&Key> = goals.iter().map(|goal| &goal.key).chain(journal.iter().map(|entry| &entry.key)).collect();
        keys.sort_unstable();
        keys.dedup();
        let ask = |(n, key): (usize, &&Key)| Question::shell(n.to_string(), context.look(key)).within(LOOK);
        let questions: Vec<_> = keys.iter().enumerate().map(ask).collect();
        let answers = self.machine.ask(&questions, LOOK + LOOK).await?;
        let mut states = BTreeMap::new();
        for (n, key) in keys.into_iter().enumerate() {
            let state = read(&answers, &n.to_string()).map_err(unknown(&name(key)))?;
            if let State::Odd(why) = state.whole() {
                return Err(LookError::Odd { what: name(key), why: why.clone() });
            }
            states.insert(key.clone(), state);
        }
        Ok(Situation { states, journal, guard })
    }

    fn script(&self, step: &Step) -> Result<String, String> {
        let context = self.context();
        match step {
            Step::Record(entry) => context.record(entry),
            Step::Set(key, state) => context.set(key, state),
            Step::Try(key) => context.attempt(key),
            Step::Confirm => Ok(context.confirm()),
            Step::Forget => Ok(context.forget()),
        }
    }
}

/// What it is called, for a person.
pub(super) fn name(key: &Key) -> String {
    match key {
        Key::Package(name) => format!("package {name}"),
        Key::Packages(folder) => format!("packages of {folder}"),
        Key::Module(name) => format!("kernel module {name}"),
        Key::User(name) => format!("user {name}"),
        Key::Folder(path) | Key::File(path) => path.clone(),
        Key::Sysctl(name) => name.clone(),
        Key::Uplink(uplink) => format!("{} as a port of {}", uplink.link, uplink.bridge),
        Key::Unit(name) => name.clone(),
        Key::Image(name) => format!("image {name}"),
    }
}

impl<M: Machine> Effects<Step> for Host<'_, M> {
    async fn apply(&mut self, step: &Step) -> Outcome {
        let text = match self.script(step) {
            Ok(text) => text,
            Err(why) => return Outcome::terminal(why),
        };
        let limit = self.deadline(step);
        let question = [Question::shell("step", text).within(limit)];
        match self.machine.ask(&question, limit).await {
            Ok(answers) => match answers.out("step") {
                Ok(_) => Outcome::Done,
                Err(Unknown(why)) => Outcome::transient(why),
            },
            Err(error @ AskError::Question(_)) => Outcome::terminal(error.to_string()),
            Err(error) => Outcome::transient(error.to_string()),
        }
    }

    fn deadline(&self, step: &Step) -> Duration {
        match step {
            Step::Set(Key::Package(_) | Key::Packages(_) | Key::Image(_), _) => FETCH,
            _ => CHANGE,
        }
    }
}
