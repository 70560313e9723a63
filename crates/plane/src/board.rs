//! What the components' tasks tell one another: the only thing they share.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use tokio::sync::watch;

use crate::status::State;

/// What one component's task tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What must be ready before it, and stops after it.
    pub after: Vec<String>,
    /// A process of it may be running.
    pub running: bool,
    /// It is ready, webhooks included.
    pub ready: bool,
    /// Its objects are there.
    pub objects: bool,
    /// It answers that it is ready; what it needs installed afterwards may not be there yet.
    pub answers: bool,
    /// For status.
    pub state: State,
    /// For status.
    pub pid: Option<u32>,
    /// For status.
    pub restarts: u32,
    /// For status.
    pub source: String,
    /// For status.
    pub message: String,
    /// For status.
    pub log: Vec<String>,
}

impl Default for Told {
    /// Before its first look nobody knows; a process may be running.
    fn default() -> Self {
        Self {
            after: Vec::new(),
            running: true,
            ready: false,
            objects: false,
            answers: false,
            state: State::Waiting,
            pid: None,
            restarts: 0,
            source: String::new(),
            message: String::new(),
            log: Vec::new(),
        }
    }
}

/// What everybody knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    /// Whether the plane should run.
    pub run: bool,
    /// Components that should not run although the plane does.
    pub leaving: BTreeSet<String>,
    /// By component.
    pub components: BTreeMap<String, Told>,
}

/// One's own place on the board, and the view of all.
#[derive(Clone, Debug)]
pub struct Place {
    /// The component.
    pub name: String,
    /// Where it tells.
    pub board: watch::Sender<Board>,
}

impl Place {
    /// Tells, if it differs from what was told before.
    pub fn tell(&self, told: Told) {
        self.board.send_if_modified(|board| {
            let differs = board.components.get(&self.name) != Some(&told);
            if differs {
                board.components.insert(self.name.clone(), told);
            }
            differs
        });
    }
}
