//! Progress on standard error, off when that is no terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_plane::Status;
use indicatif::MultiProgress;
use indicatif::ProgressBar;
use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

/// A bar or spinner for each thing that is under way.
pub struct Bars {
    all: MultiProgress,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    /// On standard error, or nowhere.
    pub fn new() -> Self {
        let target = if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), bars: Mutex::new(BTreeMap::new()) }
    }

    fn bar(&self, name: &str) -> ProgressBar {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let add = || {
            let bar = self.all.add(ProgressBar::new_spinner().with_prefix(name.to_owned()));
            bar.set_style(style("{spinner} {prefix:28} {wide_msg} {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        };
        bars.entry(name.to_owned()).or_insert_with(add).clone()
    }

    /// Shows what each component of a plane is doing.
    pub fn show(&self, status: &Status) {
        for component in &status.components {
            let bar = self.bar(&component.name);
            if component.ready {
                bar.set_style(style("✓ {prefix:28} {wide_msg}"));
                bar.finish_with_message("ready");
            } else {
                let message = component.message.lines().next().unwrap_or_default();
                bar.set_message(if message.is_empty() { component.state.to_string() } else { format!("{}: {message}", component.state) });
            }
        }
    }

    /// Removes what is shown.
    pub fn clear(&self) {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner).clear();
        // A terminal that is gone needs no clearing.
        let _ = self.all.clear();
    }
}

impl Progress for Bars {
    fn event(&self, artifact: &str, event: Event) {
        let bar = self.bar(artifact);
        match event {
            Event::Started { what, total } => {
                if let Some(total) = total {
                    bar.set_length(total);
                    bar.set_position(0);
                    bar.set_style(style("{spinner} {prefix:28} {wide_msg} {bar:24} {bytes}/{total_bytes} {elapsed}"));
                } else {
                    bar.set_style(style("{spinner} {prefix:28} {wide_msg} {elapsed}"));
                }
                bar.set_message(what);
            }
            Event::Advanced { amount } => bar.inc(amount),
            Event::Message { text } => bar.set_message(text),
            Event::Finished { .. } => bar.set_message("done"),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one would only look plain.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
