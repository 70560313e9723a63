//! The machine itself.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::Booted;
use super::Device;
use super::Disk;
use super::Seen;
use crate::machine::Answers;
use crate::machine::Unknown;

/// What an answer that makes no sense becomes.
pub(super) fn garbled(out: &str) -> Unknown {
    Unknown(format!("cannot read {:?}", out.trim().chars().take(80).collect::<String>()))
}

/// Release, architecture, and `(major, minor)`.
pub(super) fn kernel(answers: &Answers) -> (Seen<String>, Seen<String>, Seen<(u32, u32)>) {
    let split = answers.out("kernel").and_then(|out| out.trim().split_once(' ').ok_or_else(|| garbled(out)));
    match split {
        Err(unknown) => (Err(unknown.clone()), Err(unknown.clone()), Err(unknown)),
        Ok((release, machine)) => {
            let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
            let version = match (numbers.next(), numbers.next()) {
                (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
                _ => Err(garbled(release)),
            };
            (Ok(release.into()), Ok(machine.into()), version)
        }
    }
}

pub(super) fn systemd(answers: &Answers) -> Seen<String> {
    match answers.anyhow("systemd")? {
        (0, out, _) => Ok(out.trim().into()),
        (3, out, _) => Err(Unknown(format!("process 1 is {}", out.trim()))),
        (_, out, err) => Err(garbled(if err.trim().is_empty() { out } else { err })),
    }
}

pub(super) fn memory(answers: &Answers) -> Seen<u64> {
    let out = answers.out("memory")?;
    let line = out.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib / 1024).ok_or_else(|| garbled(out))
}

pub(super) fn virtualization(answers: &Answers) -> Seen<Option<String>> {
    // Without such a line (ARM, for one) grep fails, and that is no error.
    let (_, out, _) = answers.anyhow("cpu")?;
    Ok(out.split_whitespace().find(|flag| matches!(*flag, "vmx" | "svm")).map(str::to_owned))
}

pub(super) fn disk(answers: &Answers) -> Seen<Disk> {
    let out = answers.out("disk")?;
    let lines: Vec<_> = out.lines().collect();
    let [folder, blocks, inodes, kind, rest @ ..] = lines.as_slice() else { return Err(garbled(out)) };
    let free = |line: &str| line.split_whitespace().nth(3).and_then(|word| word.parse::<u64>().ok());
    let total = |line: &str| line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    let free_mib = free(blocks).ok_or_else(|| garbled(blocks))? / 1024;
    let free_inodes = total(inodes).filter(|total| *total > 0).and_then(|_| free(inodes));
    let reflink = matches!(*kind, "btrfs" | "bcachefs") || rest.contains(&"reflink=1");
    Ok(Disk { folder: (*folder).into(), free_mib, free_inodes, kind: (*kind).into(), reflink })
}

/// Nobody knows when within `during` it was asked: a slow host is not to be taken for one whose clock is off.
pub(super) fn clock(answers: &Answers, during: &RangeInclusive<u64>) -> Seen<i64> {
    let out = answers.out("clock")?;
    let theirs: u64 = out.trim().parse().map_err(|_| garbled(out))?;
    Ok(theirs.saturating_sub(*during.end()).cast_signed() - during.start().saturating_sub(theirs).cast_signed())
}

/// Lines of key and value.
pub(super) fn pairs(text: &str, between: char) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(between));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

pub(super) fn device(answers: &Answers, name: &str) -> Seen<Option<Device>> {
    let out = answers.out(name)?;
    if out.trim() == "absent" {
        return Ok(None);
    }
    let mut lines = out.lines();
    let (kind, rights) = lines.next().and_then(|line| line.split_once(',')).ok_or_else(|| garbled(out))?;
    Ok(Some(Device { character: kind == "character special file", open: lines.any(|line| line == "open"), rights: rights.into() }))
}

/// Names of modules, as the kernel has them.
pub(super) fn modules(out: &str) -> BTreeSet<String> {
    out.split_whitespace().map(|name| name.replace('-', "_")).collect()
}

pub(super) fn programs(answers: &Answers) -> BTreeMap<String, String> {
    let present = answers.out("programs").unwrap_or_default().split_whitespace().map(|name| (name.to_owned(), String::new()));
    let versioned = answers.0.keys().filter_map(|name| name.strip_prefix("version/"));
    let versions = versioned.filter_map(|name| match answers.out(&format!("version/{name}")) {
        Ok(out) if out.trim() == "absent" => None,
        Ok(out) => Some((name.to_owned(), out.lines().next().unwrap_or_default().trim().to_owned())),
        Err(_) => None,
    });
    present.chain(versions).collect()
}

pub(super) fn booted(answers: &Answers, name: &str) -> Seen<Booted> {
    let out = answers.out(name)?;
    let mut lines = out.lines();
    match lines.next() {
        Some("ran") => Ok(Booted::Ran),
        Some("hung") => Ok(Booted::Hung),
        Some("no-vmm") => Ok(Booted::NoVmm),
        Some("failed") => {
            let said = lines.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" / ");
            Ok(Booted::Failed(if said.is_empty() { "QEMU ended without a word".into() } else { said }))
        }
        _ => Err(garbled(out)),
    }
}
