//! What `systemctl enable`, `disable` and `mask` do, without a systemd to ask: links in `/etc/systemd/system`.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::file::Units;

#[cfg(test)]
mod tests;

/// Where units are, the first that has it counts.
const FOLDERS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
const SYSTEM: &str = "etc/systemd/system";

/// Why a unit cannot be enabled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// There is none.
    #[error("there is no unit {unit}: neither the base nor `files` has one")]
    NotFound {
        /// The unit.
        unit: String,
    },
    /// It does not say when it is to be started.
    #[error("the unit {unit} cannot be enabled: it has no [Install] section with WantedBy=, RequiredBy=, Alias= or Also=")]
    NoInstall {
        /// The unit.
        unit: String,
    },
}

/// One change to links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A link is made: its path and its target.
    Link(String, String),
    /// What is at the path is taken away.
    Remove(String),
}

/// The changes that make systemd do what is asked. `text` gives a file's text by its path, `names` what is in a folder.
pub(crate) fn changes(
    units: &Units,
    text: impl Fn(&str) -> Option<String>,
    names: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<Change>, UnitError> {
    let mut changes = Vec::new();
    let mut todo: Vec<(String, bool)> = units.enable.iter().rev().map(|unit| (unit.clone(), true)).collect();
    let mut seen = BTreeSet::new();
    while let Some((unit, asked)) = todo.pop() {
        let unwanted = units.mask.contains(&unit) || units.disable.contains(&unit);
        if unwanted || !seen.insert(unit.clone()) {
            continue;
        }
        let Some((place, definition)) = definition(&unit, &text) else {
            if asked {
                return Err(UnitError::NotFound { unit });
            }
            continue;
        };
        let install = install(&unit, &definition);
        if asked && install.links.is_empty() && install.also.is_empty() {
            return Err(UnitError::NoInstall { unit });
        }
        changes.extend(install.links.into_iter().map(|link| Change::Link(link, format!("/{place}"))));
        // Those it names go with it, where they are there.
        todo.extend(install.also.into_iter().rev().map(|unit| (unit, false)));
    }
    for unit in &units.disable {
        // Wherever it is wanted: what is not there cannot be found by its own text alone.
        for folder in names(SYSTEM).into_iter().filter(|name| name.ends_with(".wants") || name.ends_with(".requires")) {
            let folder = format!("{SYSTEM}/{folder}");
            if names(&folder).contains(unit) {
                changes.push(Change::Remove(format!("{folder}/{unit}")));
            }
        }
    }
    changes.extend(units.mask.iter().map(|unit| Change::Link(format!("{SYSTEM}/{unit}"), "/dev/null".to_owned())));
    Ok(changes)
}

/// Where a unit is defined, and how. `name@instance.kind` is defined by `name@.kind`.
fn definition(unit: &str, text: &impl Fn(&str) -> Option<String>) -> Option<(String, String)> {
    let template = unit.split_once('@').and_then(|(name, rest)| rest.rsplit_once('.').map(|(_, kind)| format!("{name}@.{kind}")));
    let names = [Some(unit.to_owned()), template];
    names.iter().flatten().find_map(|name| {
        FOLDERS.iter().find_map(|folder| {
            let path = format!("{folder}/{name}");
            text(&path).map(|text| (path, text))
        })
    })
}

/// What a unit's `[Install]` section asks for.
#[derive(Default)]
struct Install {
    links: Vec<String>,
    /// Units that are enabled with it.
    also: Vec<String>,
}

fn install(unit: &str, definition: &str) -> Install {
    let mut install = Install::default();
    let mut section = "";
    for line in definition.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| section == "[Install]") else { continue };
        for name in value.split_whitespace() {
            match key.trim() {
                "WantedBy" => install.links.push(format!("{SYSTEM}/{name}.wants/{unit}")),
                "RequiredBy" => install.links.push(format!("{SYSTEM}/{name}.requires/{unit}")),
                "Alias" => install.links.push(format!("{SYSTEM}/{name}")),
                "Also" => install.also.push(name.to_owned()),
                _ => {}
            }
        }
    }
    install
}
