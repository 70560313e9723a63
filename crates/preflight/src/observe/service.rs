//! Units, the daemon, and what flintlockd's runtime rests on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Pool;
use super::Seen;
use super::Unit;
use super::system::garbled;
use super::system::pairs;
use crate::machine::Answers;

/// Blocks of `systemctl show`, an empty line between them.
pub(super) fn units(answers: &Answers) -> Seen<BTreeMap<String, Unit>> {
    let out = answers.out("units")?;
    let blocks = out.split("\n\n").map(|block| pairs(block, '=')).filter(|block| block.contains_key("Id"));
    let units = blocks.map(|block| {
        let value = |key: &str| block.get(key).cloned().unwrap_or_default();
        let unit = Unit {
            loaded: value("LoadState") == "loaded",
            active: value("ActiveState"),
            enabled: value("UnitFileState"),
            command: argv(&value("ExecStart")),
            kill_mode: value("KillMode"),
            stale: value("NeedDaemonReload") == "yes",
        };
        (value("Id"), unit)
    });
    Ok(units.collect())
}

/// `{ path=/bin/x ; argv[]=/bin/x run ; ignore_errors=no ; … }`
fn argv(value: &str) -> String {
    let after = value.split_once("argv[]=").map_or(value, |(_, after)| after);
    after.split_once(" ;").map_or(after, |(argv, _)| argv).to_owned()
}

pub(super) fn config(answers: &Answers) -> BTreeMap<String, String> {
    let config = answers.out("config").unwrap_or_default();
    let lines: Vec<_> = config.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let pairs = pairs(&lines.join("\n"), ':');
    pairs.into_iter().map(|(key, value)| (key, value.trim_matches(['"', '\'']).to_owned())).collect()
}

pub(super) fn version(answers: &Answers) -> Seen<String> {
    let out = answers.out("version")?;
    Ok(out.lines().next().unwrap_or_default().trim().to_owned())
}

/// Names of groups, its own among them.
pub(super) fn vmm_groups(answers: &Answers) -> Seen<Option<BTreeSet<String>>> {
    let groups: BTreeSet<_> = answers.out("vmm-user")?.split_whitespace().map(str::to_owned).collect();
    Ok((!groups.is_empty()).then_some(groups))
}

/// The HTTP status, or why there is none.
pub(super) fn registry(answers: &Answers, host: &str) -> Seen<u16> {
    let out = answers.out(&format!("registry/{host}"))?;
    out.trim().parse().map_err(|_| garbled(out))
}

/// `name  v1.2.3` in each line.
pub(super) fn dm_targets(answers: &Answers) -> Seen<BTreeSet<String>> {
    Ok(answers.out("dm-targets")?.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// `name: 0 209715200 thin-pool 1 234/2621440 5/1638400 - rw …`. See the kernel's Documentation/admin-guide/device-mapper/thin-provisioning.rst.
pub(super) fn pools(answers: &Answers) -> Seen<Vec<Pool>> {
    let percent = |word: &str| {
        let (used, total) = word.split_once('/')?;
        let (used, total) = (used.parse::<u64>().ok()?, total.parse::<u64>().ok()?);
        u8::try_from(used.saturating_mul(100).checked_div(total)?).ok()
    };
    let pool = |line: &str| {
        let (name, status) = line.split_once(": ")?;
        let words: Vec<_> = status.split_whitespace().collect();
        if words.get(2) != Some(&"thin-pool") {
            return None;
        }
        let percents = (words.get(4).and_then(|word| percent(word)), words.get(5).and_then(|word| percent(word)));
        let (metadata, data) = (percents.0.unwrap_or(100), percents.1.unwrap_or(100));
        Some(Pool { name: name.into(), data, metadata, writable: words.contains(&"rw") })
    };
    Ok(answers.out("pools")?.lines().filter_map(pool).collect())
}

/// A line of `ctr plugins ls`: type, id, platforms, status.
pub(super) fn devmapper(answers: &Answers) -> Seen<Option<String>> {
    let line = answers.out("snapshotters")?.lines().find(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("io.containerd.snapshotter.v1") && words.next() == Some("devmapper")
    });
    Ok(line.and_then(|line| line.split_whitespace().last()).map(str::to_owned))
}
