//! Progress as a person wants to see it: one block that changes on a terminal, else a line for each change.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;

/// One line of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about; there is one line for each.
    pub what: String,
    /// Put before it on a terminal.
    pub branch: String,
    /// It is as it shall be.
    pub done: bool,
    /// Worth a line when it changes.
    pub state: String,
    /// More, for a terminal.
    pub note: String,
}

/// What is shown.
pub struct Live {
    block: Option<MultiProgress>,
    bars: BTreeMap<String, ProgressBar>,
    told: BTreeMap<String, String>,
}

impl Live {
    /// On standard error.
    pub fn new() -> Self {
        let block = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self { block, bars: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Whether there is a terminal to show it on.
    pub fn is_terminal(&self) -> bool {
        self.block.is_some()
    }

    /// Shows these lines, and takes away those that are no more.
    pub fn show(&mut self, lines: &[Line]) {
        match self.block.clone() {
            Some(block) => self.draw(&block, lines),
            None => self.tell(lines),
        }
    }

    fn draw(&mut self, block: &MultiProgress, lines: &[Line]) {
        self.bars.retain(|what, bar| {
            let stays = lines.iter().any(|line| line.what == *what);
            if !stays {
                block.remove(bar);
            }
            stays
        });
        let width = lines.iter().map(|line| line.branch.chars().count() + line.what.len()).max().unwrap_or_default();
        for (n, line) in lines.iter().enumerate() {
            let bar = self.bars.entry(line.what.clone()).or_insert_with(|| {
                let bar = block.insert(n, ProgressBar::new_spinner());
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            });
            let template = if line.done { "✓ {wide_msg}" } else { "{spinner} {wide_msg}" };
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(format!("{:width$}   {}  {}", format!("{}{}", line.branch, line.what), line.state, line.note));
        }
    }

    fn tell(&mut self, lines: &[Line]) {
        for line in lines {
            if self.told.get(&line.what) != Some(&line.state) {
                eprintln!("{}: {}", line.what, line.state);
                self.told.insert(line.what.clone(), line.state.clone());
            }
        }
    }

    /// Takes away what is shown on a terminal.
    pub fn clear(&mut self) {
        self.bars.clear();
        if let Some(block) = &self.block {
            // A terminal that is gone needs no clearing.
            let _ = block.clear();
        }
    }
}
