//! The stages of a journey as they go by: shown while they last, each with its expected and actual time, and told at the end.

use std::time::Duration;
use std::time::Instant;

use capstead_journeys::log::Ended;
use capstead_journeys::log::Entry;

use super::live::Line;
use super::live::Live;
use crate::output;

/// What has been gone through, and what is at the moment.
pub struct Stages {
    live: Live,
    entries: Vec<Entry>,
    current: Option<Current>,
}

struct Current {
    entry: Entry,
    began: Instant,
}

impl Stages {
    /// None yet.
    pub fn new() -> Self {
        Self { live: Live::new(), entries: Vec::new(), current: None }
    }

    /// A stage begins.
    pub fn begin(&mut self, part: &str, stage: &str, title: &str, expected: Duration) {
        let [part, stage, title] = [part, stage, title].map(str::to_owned);
        let entry = Entry { part, stage, title, expected, took: Duration::ZERO, ended: Ended::Passed };
        let begun = format!("begins; this takes about {} s", expected.as_secs());
        self.current = Some(Current { entry, began: Instant::now() });
        self.show(&begun, "");
    }

    /// What it still waits for.
    pub fn waits(&mut self, missing: &[String]) {
        let Some(first) = missing.first() else { return };
        let more = if missing.len() > 1 { format!("and {} more", missing.len() - 1) } else { String::new() };
        self.show(&format!("waits: {first}"), &more);
    }

    /// The stage ends.
    pub fn end(&mut self, ended: Ended) {
        let Some(Current { mut entry, began }) = self.current.take() else { return };
        entry.took = began.elapsed();
        entry.ended = ended;
        self.entries.push(entry);
        self.show("", "");
    }

    /// What another process has gone through.
    pub fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.entries.extend(entries);
    }

    /// A stage is left out.
    pub fn skip(&mut self, part: &str, stage: &str, title: &str, expected: Duration, why: &str) {
        let [part, stage, title] = [part, stage, title].map(str::to_owned);
        self.entries.push(Entry { part, stage, title, expected, took: Duration::ZERO, ended: Ended::Skipped(why.to_owned()) });
    }

    /// Where others show what they do.
    pub fn live(&mut self) -> &mut Live {
        &mut self.live
    }

    /// Takes away what is shown on a terminal.
    pub fn clear(&mut self) {
        self.live.clear();
    }

    /// All that have ended.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All that have ended, as a table.
    pub fn table(&self) -> String {
        output::table(["PART", "STAGE", "EXPECTED", "TOOK", "RESULT"], self.entries.iter().map(Entry::row))
    }

    fn show(&mut self, state: &str, note: &str) {
        let name = |entry: &Entry| format!("{} {}", entry.part, entry.stage);
        let ended = self.entries.iter().map(|entry| {
            let [_, _, expected, took, result] = entry.row();
            let state = match entry.ended {
                Ended::Skipped(_) => result,
                _ => format!("{result}; took {took} of about {expected}"),
            };
            Line { what: name(entry), branch: String::new(), done: matches!(entry.ended, Ended::Passed), state, note: String::new() }
        });
        let current = self.current.as_ref().map(|current| {
            let clock = format!("({} of about {} s) {note}", current.began.elapsed().as_secs(), current.entry.expected.as_secs());
            Line { what: name(&current.entry), branch: String::new(), done: false, state: state.to_owned(), note: clock }
        });
        let lines: Vec<Line> = ended.chain(current).collect();
        self.live.show(&lines);
    }
}
