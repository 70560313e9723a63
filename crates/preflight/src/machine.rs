//! A machine that answers questions: this one, another by ssh, or a recorded one.
//!
//! Questions go in one batch, and are answered at the same time, so a machine far away is asked once, and a question that hangs delays no other.

mod batch;
mod recorded;
mod shell;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

pub use recorded::Recorded;
pub use shell::Shell;

/// Longest text of a question: the kernel takes at most 128 KiB as one argument.
pub const LONGEST_QUESTION: usize = 120_000;
/// How much of an answer is kept, in bytes, of each of its two streams.
pub const LONGEST_ANSWER: usize = 1 << 20;

/// Text for `sh`, and how long it may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// By what the answer is found: letters, digits, `-`, `_`, `.` and `/`.
    pub name: String,
    /// What `sh` runs, with nothing to read on its standard input.
    pub text: String,
    /// When it is killed. Whole seconds.
    pub limit: Duration,
}

/// How long reading something may take.
const SHORT: Duration = Duration::from_secs(2);

impl Question {
    /// Runs text by `sh`.
    #[must_use]
    pub fn shell(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), limit: SHORT }
    }

    /// Runs a program.
    #[must_use]
    pub fn run(name: impl Into<String>, argv: &[&str]) -> Self {
        Self::shell(name, argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
    }

    /// Reads a file.
    #[must_use]
    pub fn file(name: impl Into<String>, path: &str) -> Self {
        Self::run(name, &["cat", "--", path])
    }

    /// Lists a folder's entries, one in a line.
    #[must_use]
    pub fn folder(name: impl Into<String>, path: &str) -> Self {
        Self::run(name, &["ls", "-1A", "--", path])
    }

    /// With another limit.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }
}

/// A word for `sh` that means itself.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It ended by itself.
    Ended {
        /// Its exit code.
        code: u8,
        /// What it wrote to its standard output; bytes that are no UTF-8 are replaced.
        #[serde(default)]
        out: String,
        /// What it wrote to its standard error.
        #[serde(default)]
        err: String,
    },
    /// It was killed at its limit, or did not even die then.
    TimedOut,
}

impl Answer {
    /// A success with this output.
    #[must_use]
    pub fn ok(out: impl Into<String>) -> Self {
        Self::Ended { code: 0, out: out.into(), err: String::new() }
    }

    /// A failure with these last words.
    #[must_use]
    pub fn failed(code: u8, err: impl Into<String>) -> Self {
        Self::Ended { code, out: String::new(), err: err.into() }
    }
}

/// Answers by the names of their questions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Answers(pub BTreeMap<String, Answer>);

impl Answers {
    /// What it wrote, if it succeeded.
    ///
    /// # Errors
    /// Says why not, in a few words for a person.
    pub fn out(&self, name: &str) -> Result<&str, Unknown> {
        match self.0.get(name) {
            Some(Answer::Ended { code: 0, out, .. }) => Ok(out),
            Some(Answer::Ended { code, out, err }) => Err(Unknown(last_words(*code, err, out))),
            Some(Answer::TimedOut) => Err(Unknown("no answer in time".into())),
            None => Err(Unknown("it was not asked".into())),
        }
    }

    /// What it wrote, however it ended.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn anyhow(&self, name: &str) -> Result<(u8, &str, &str), Unknown> {
        match self.0.get(name) {
            Some(Answer::Ended { code, out, err }) => Ok((*code, out, err)),
            Some(Answer::TimedOut) => Err(Unknown("no answer in time".into())),
            None => Err(Unknown("it was not asked".into())),
        }
    }

    /// Whether it succeeded.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn holds(&self, name: &str) -> Result<bool, Unknown> {
        self.anyhow(name).map(|(code, ..)| code == 0)
    }
}

fn last_words(code: u8, err: &str, out: &str) -> String {
    let line = |text: &str| text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(|line| line.chars().take(200).collect());
    line(err).or_else(|| line(out)).unwrap_or_else(|| format!("it ended with code {code}"))
}

/// Why something is not known, for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// A machine cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The program that leads there does not start.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not reached, or does not let us in.
    #[error("cannot ask {machine}: {why}")]
    Unreachable {
        /// Which machine.
        machine: String,
        /// What ssh or the shell said.
        why: String,
    },
    /// The machine has no `timeout` or `base64`, which the questions are asked with.
    #[error("{machine} has no `{tool}` (Debian: coreutils)")]
    Tool {
        /// Which machine.
        machine: String,
        /// The program.
        tool: String,
    },
    /// A question is too long, or its name is not possible.
    #[error("the question {0:?} cannot be asked")]
    Question(String),
}

/// Answers questions. Implementations decide nothing.
pub trait Machine: Sync {
    /// What it is called, for a person.
    fn name(&self) -> String;

    /// Asks all at the same time. What has no answer at the deadline is [`Answer::TimedOut`].
    ///
    /// # Errors
    /// Nothing at all can be asked.
    fn ask(&self, questions: &[Question], deadline: Duration) -> impl Future<Output = Result<Answers, AskError>> + Send;
}
