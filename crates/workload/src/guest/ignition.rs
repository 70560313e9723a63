//! Ignition: files and units of specification 2 and 3, as far as a node depends on them.

use base64::Engine;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use super::system::File;
use super::system::Script;
use super::system::System;
use super::user_data;

#[cfg(test)]
mod tests;

/// Why Ignition gives up. A machine then stays in its initial file system for ever.
#[derive(Debug, thiserror::Error)]
pub enum IgnitionError {
    /// Not the shape of a configuration.
    #[error("the configuration is not Ignition's")]
    Shape(#[source] serde_json::Error),
    /// A version of the specification that nobody here knows.
    #[error("ignition.version {0:?} is not supported; 2.0 to 2.4 and 3.0 to 3.6 are")]
    Version(String),
    /// Content that is elsewhere.
    #[error("the content of {path} is at {scheme:?}; only data URLs are understood")]
    Remote {
        /// Which file.
        path: String,
        /// Of the URL.
        scheme: String,
    },
    /// A data URL that is not one.
    #[error("the content of {path} cannot be decoded")]
    Content {
        /// Which file.
        path: String,
    },
    /// Specification 3 takes each path once.
    #[error("{path} is written twice")]
    Twice {
        /// Which file.
        path: String,
    },
    /// A path that begins elsewhere than at the root.
    #[error("the path {path:?} is not absolute")]
    Relative {
        /// Which path.
        path: String,
    },
}

#[derive(Deserialize)]
struct Config {
    ignition: Ignition,
    #[serde(default)]
    storage: Storage,
    #[serde(default)]
    systemd: Systemd,
}

#[derive(Deserialize)]
struct Ignition {
    version: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Storage {
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(default)]
    contents: Contents,
    #[serde(default)]
    mode: Option<u32>,
    #[serde(default)]
    user: Owner,
    #[serde(default)]
    group: Owner,
    /// A switch in specification 2, what to append in 3.
    #[serde(default)]
    append: Append,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Contents {
    source: Option<String>,
    compression: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Owner {
    name: Option<String>,
    id: Option<u32>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Append {
    Switch(bool),
    More(Vec<Contents>),
}

impl Default for Append {
    fn default() -> Self {
        Self::Switch(false)
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Systemd {
    units: Vec<Unit>,
}

#[derive(Deserialize)]
struct Unit {
    name: String,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    enable: Option<bool>,
    #[serde(default)]
    mask: bool,
    #[serde(default)]
    contents: Option<String>,
}

/// Carries out a configuration.
///
/// # Errors
///
/// Where Ignition would give up, and where it would need a network.
pub fn provision(config: &Value, meta_data: &Map<String, Value>) -> Result<System, IgnitionError> {
    let config = Config::deserialize(config).map_err(IgnitionError::Shape)?;
    let third = third(&config.ignition.version)?;
    let mut system = System::default();
    for entry in config.storage.files {
        write(&mut system, entry, third)?;
    }
    let named = system.text("/etc/hostname").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let told = || ["local_hostname", "local-hostname", "hostname"].iter().find_map(|key| meta_data.get(*key)?.as_str().map(str::to_owned));
    system.hostname = named.or_else(told).unwrap_or_else(|| "localhost".to_owned());
    for unit in config.systemd.units {
        start(&mut system, &unit);
    }
    Ok(system)
}

/// Whether it is specification 3, and not 2.
fn third(version: &str) -> Result<bool, IgnitionError> {
    let mut numbers = version.split(['.', '-']).map(|number| number.parse::<u8>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(2), Some(0..=4)) => Ok(false),
        (Some(3), Some(0..=6)) => Ok(true),
        _ => Err(IgnitionError::Version(version.chars().take(20).collect())),
    }
}

fn write(system: &mut System, entry: Entry, third: bool) -> Result<(), IgnitionError> {
    let Entry { path, contents, mode, user, group, append } = entry;
    if !path.starts_with('/') {
        return Err(IgnitionError::Relative { path });
    }
    if third && system.files.contains_key(&path) {
        return Err(IgnitionError::Twice { path });
    }
    let mut content = read(&path, &contents)?;
    let mut switch = false;
    match append {
        Append::Switch(append) => switch = append,
        Append::More(more) => {
            for contents in more {
                content.extend(read(&path, &contents)?);
            }
        }
    }
    let name = |owner: Owner| owner.name.or_else(|| owner.id.map(|id| id.to_string()));
    let owner = match (name(user), name(group)) {
        (None, None) => String::new(),
        (user, group) => format!("{}:{}", user.as_deref().unwrap_or("root"), group.as_deref().unwrap_or("root")),
    };
    system.write(path, File { content, permissions: mode.unwrap_or(0o644), owner }, switch);
    Ok(())
}

fn read(path: &str, contents: &Contents) -> Result<Vec<u8>, IgnitionError> {
    let Some(source) = contents.source.as_deref().filter(|source| !source.is_empty()) else { return Ok(Vec::new()) };
    let wrong = || IgnitionError::Content { path: path.to_owned() };
    let Some(data) = source.strip_prefix("data:") else {
        let scheme = source.split(':').next().unwrap_or_default().chars().take(20).collect();
        return Err(IgnitionError::Remote { path: path.to_owned(), scheme });
    };
    let (kind, data) = data.split_once(',').ok_or_else(wrong)?;
    let mut content: Vec<u8> = percent_decode_str(data).collect();
    if kind.ends_with(";base64") {
        content = base64::engine::general_purpose::STANDARD.decode(&content).map_err(|_| wrong())?;
    }
    match contents.compression.as_deref() {
        None | Some("") => Ok(content),
        Some("gzip") => user_data::gunzip(&content).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
    }
}

/// A unit that starts a script of the configuration is that script; others do not make a node.
fn start(system: &mut System, unit: &Unit) {
    let Some(contents) = unit.contents.as_deref() else { return };
    if unit.mask || !(unit.enabled.or(unit.enable).unwrap_or(false)) {
        return;
    }
    let blocked = contents.lines().filter_map(|line| line.trim().strip_prefix("ConditionPathExists=")).find(|path| {
        let (path, wanted) = path.strip_prefix('!').map_or((*path, true), |path| (path, false));
        system.files.contains_key(path) != wanted
    });
    if let Some(path) = blocked {
        system.warnings.push(format!("{} does not start, because of ConditionPathExists={path}", unit.name));
        return;
    }
    for command in contents.lines().filter_map(|line| line.trim().strip_prefix("ExecStart=")) {
        let Some(last) = command.split_whitespace().last() else { continue };
        if let Some(text) = system.text(last).map(str::to_owned) {
            let strict = text.lines().any(|line| line.trim() == "set -e" || line.trim().starts_with("set -eu"));
            system.scripts.push(Script { text, strict });
        } else {
            system.scripts.push(Script { text: command.to_owned(), strict: true });
        }
    }
}
