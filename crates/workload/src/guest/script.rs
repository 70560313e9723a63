//! What the scripts of a machine come to. No shell is simulated; of the commands before `kubeadm`, these are understood where they stand alone:
//!
//! | command | what it does |
//! |---|---|
//! | `hostnamectl set-hostname NAME`, `hostname NAME` | renames the machine |
//! | `envsubst < A > B` | fills in `$NAME` and `${NAME}` from the machine's environment |
//! | `mv A B`, `cp A B` | moves or copies a file of the bootstrap data |
//! | `exit N` | ends the script |
//! | `false` | ends a script that runs under `set -e` |
//!
//! All else is taken to succeed.

use std::collections::BTreeMap;

use super::system::Script;
use super::system::System;

#[cfg(test)]
mod tests;

/// How kubeadm is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// `kubeadm init`, and not `kubeadm join`.
    pub init: bool,
    /// `--config`.
    pub config: String,
    /// `--ignore-preflight-errors`.
    pub ignored: Vec<String>,
    /// `--skip-phases`.
    pub skipped: Vec<String>,
    /// The file that says it succeeded, if one is written.
    pub sentinel: Option<String>,
}

/// Why kubeadm is not reached.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScriptError {
    /// Nothing calls it.
    #[error("no command runs kubeadm init or kubeadm join (nothing else makes a node here yet)")]
    NoKubeadm,
    /// Something before it ends the script.
    #[error("the script ends before kubeadm at {command:?}")]
    Ended {
        /// The command.
        command: String,
    },
    /// It has nothing to go by.
    #[error("kubeadm is called without --config: {command:?}")]
    NoConfig {
        /// The command.
        command: String,
    },
}

/// Runs the scripts as far as kubeadm.
///
/// # Errors
///
/// When they do not come as far.
pub fn run(system: &mut System, environment: &BTreeMap<String, String>) -> Result<Invocation, ScriptError> {
    let scripts = std::mem::take(&mut system.scripts);
    let mut ended = None;
    for script in &scripts {
        match follow(script, system, environment) {
            Step::Kubeadm(invocation) => return invocation,
            Step::Ended(command) => ended = ended.or(Some(command)),
            Step::Through => {}
        }
    }
    Err(ended.map_or(ScriptError::NoKubeadm, |command| ScriptError::Ended { command }))
}

enum Step {
    Kubeadm(Result<Invocation, ScriptError>),
    Ended(String),
    Through,
}

fn follow(script: &Script, system: &mut System, environment: &BTreeMap<String, String>) -> Step {
    let text = script.text.replace("\\\n", " ");
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Some(at) = kubeadm(&words) {
            let rest = lines.clone().collect::<Vec<_>>();
            return Step::Kubeadm(invocation(line, &words[at..], &rest));
        }
        match words.as_slice() {
            ["exit", ..] => return Step::Ended(line.to_owned()),
            ["false"] if script.strict => return Step::Ended(line.to_owned()),
            ["hostnamectl", "set-hostname" | "hostname", name] | ["hostname", name] if !name.starts_with('-') => {
                (*name).clone_into(&mut system.hostname);
            }
            ["envsubst", "<", from, ">", to] => copy(system, from, to, false, |text| substitute(text, environment)),
            ["mv", from, to] => copy(system, from, to, true, str::to_owned),
            ["cp", from, to] => copy(system, from, to, false, str::to_owned),
            _ => {}
        }
    }
    Step::Through
}

/// Words without quotes; operators stand alone, as people write them, and as `;` is made to.
fn words(line: &str) -> Vec<String> {
    let words = shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect());
    let apart = |word: String| match word.strip_suffix(';') {
        Some(before) if !before.is_empty() => vec![before.to_owned(), ";".to_owned()],
        _ => vec![word],
    };
    words.into_iter().flat_map(apart).collect()
}

/// Where `kubeadm init` or `kubeadm join` is called, wherever on the line: it may be within an `if`, or behind `sudo`.
fn kubeadm(words: &[&str]) -> Option<usize> {
    words.windows(2).position(|pair| {
        let name = pair[0].rsplit('/').next().unwrap_or_default();
        name == "kubeadm" && matches!(pair[1], "init" | "join")
    })
}

fn invocation(line: &str, words: &[&str], rest: &[&str]) -> Result<Invocation, ScriptError> {
    let end = words.iter().position(|word| matches!(*word, "&&" | "||" | ";" | "|" | ">" | ">>" | "2>&1" | "&")).unwrap_or(words.len());
    let (call, after) = words.split_at(end);
    let flag = |name: &str| {
        call.iter().enumerate().find_map(|(at, word)| match word.strip_prefix("--")?.split_once('=') {
            Some((key, value)) => (key == name).then(|| value.to_owned()),
            None => (word.strip_prefix("--") == Some(name)).then(|| call.get(at + 1).map(|value| (*value).to_owned())).flatten(),
        })
    };
    let list = |name: &str| flag(name).map(|value| value.split(',').map(|item| item.trim().to_owned()).collect()).unwrap_or_default();
    let config = flag("config").ok_or_else(|| ScriptError::NoConfig { command: line.to_owned() })?;
    let sentinel = redirected(after).or_else(|| {
        rest.iter().find_map(|line| {
            let words = self::words(line);
            redirected(&words.iter().map(String::as_str).collect::<Vec<_>>())
        })
    });
    Ok(Invocation {
        init: call.get(1) == Some(&"init"),
        config,
        ignored: list("ignore-preflight-errors"),
        skipped: list("skip-phases"),
        sentinel,
    })
}

/// Where `echo success` goes, which is Cluster API's contract for bootstrap providers.
fn redirected(words: &[&str]) -> Option<String> {
    words.windows(4).find(|four| matches!(four, ["echo", "success", ">", _])).map(|four| four[3].to_owned())
}

/// Does nothing if there is no such file, or it is not text: then it comes from the image, and nobody here knows it.
fn copy(system: &mut System, from: &str, to: &str, away: bool, change: impl Fn(&str) -> String) {
    let Some(mut file) = system.files.get(from).cloned() else { return };
    if let Ok(text) = std::str::from_utf8(&file.content) {
        file.content = change(text).into_bytes();
    }
    let to = if to.ends_with('/') { format!("{to}{}", from.rsplit('/').next().unwrap_or_default()) } else { to.to_owned() };
    if away {
        system.files.remove(from);
    }
    system.write(to, file, false);
}

/// As GNU envsubst: a variable that is not set becomes nothing.
fn substitute(text: &str, environment: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (braced, body) = rest.strip_prefix('{').map_or((false, rest), |body| (true, body));
        let length = body.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(body.len());
        let (name, after) = body.split_at(length);
        let closed = if braced { after.strip_prefix('}') } else { Some(after) };
        match closed {
            Some(after) if !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) => {
                out.push_str(environment.get(name).map_or("", String::as_str));
                rest = after;
            }
            _ => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}
