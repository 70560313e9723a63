//! A plan as a person reads it. Pure.

use super::converge::Situation;
use super::converge::Step;
use super::host::name;
use super::state::Key;
use super::state::State;

/// Longest file that is compared line by line.
const LINES: usize = 400;

/// The plan's changes: `+` what comes, `-` what goes, `~` what changes, with the lines of files. Empty where nothing changes.
#[must_use]
pub fn describe(steps: &[Step], now: &Situation) -> String {
    let mut text = String::new();
    let mut states = now.states.clone();
    for step in steps {
        let (key, state) = match step {
            Step::Set(key, state) => (key, state),
            Step::Try(key) => (key, &State::Present),
            Step::Record(_) | Step::Confirm | Step::Forget => continue,
        };
        let before = states.insert(key.clone(), state.clone()).unwrap_or(State::Absent);
        text += &change(key, &before, state);
    }
    text
}

fn change(key: &Key, before: &State, after: &State) -> String {
    let name = name(key);
    match (before.whole(), after) {
        (State::File(old), State::File(new)) => {
            let (old_text, new_text) = (String::from_utf8_lossy(&old.content), String::from_utf8_lossy(&new.content));
            let rights = if (old.mode, old.owner) == (new.mode, new.owner) {
                String::new()
            } else {
                format!(" ({:o} {}:{} -> {:o} {}:{})", old.mode, old.owner.0, old.owner.1, new.mode, new.owner.0, new.owner.1)
            };
            format!("~ {name}{rights}\n{}", lines(&old_text, &new_text))
        }
        (_, State::File(new)) => format!("+ {name}\n{}", lines("", &String::from_utf8_lossy(&new.content))),
        (_, State::Absent) => format!("- {name}\n"),
        (State::Value(old), State::Value(new)) => format!("~ {name}: {old} -> {new}\n"),
        (_, State::Value(new)) => format!("~ {name}: {new}\n"),
        (old, State::Unit { enabled, active }) => {
            let (old_enabled, old_active) = match old {
                State::Unit { enabled, active } => (*enabled, *active),
                _ => (false, false),
            };
            let word = |old: bool, new: bool, yes: &'static str, no: &'static str| (old != new).then_some(if new { yes } else { no });
            let words = [
                word(old_enabled, *enabled, "starts at boot", "does not start at boot"),
                word(old_active, *active, "is started", "is stopped"),
            ];
            format!("~ {name} {}\n", words.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        _ => format!("+ {name}\n"),
    }
}

/// A diff by longest common subsequence, without context. Files here have some tens of lines.
fn lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().take(LINES).collect(), new.lines().take(LINES).collect());
    // common[i][j]: how many lines old[i..] and new[j..] have in common.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut text) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            text += &format!("    -{}\n", old[i]);
            i += 1;
        } else {
            text += &format!("    +{}\n", new[j]);
            j += 1;
        }
    }
    text
}

#[cfg(test)]
mod tests;
