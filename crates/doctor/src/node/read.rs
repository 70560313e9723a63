//! What a guest's answers say. Pure; of what is missing or garbled nothing is known.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use capstead_preflight::machine::Answer;
use capstead_preflight::machine::Answers;
use capstead_preflight::machine::Unknown;
use capstead_preflight::observe::Seen;
use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;

use super::Asked;
use super::CONSOLE;
use super::CloudInit;
use super::Container;
use super::FileSystem;
use super::Link;
use super::Node;
use super::Registered;
use super::Subject;
use super::Unit;
use crate::picture::Log;
use crate::redact::redact;

/// Of whom only the console is seen.
#[must_use]
pub fn console(subject: Subject, lines: &[String]) -> Node {
    let plain: Vec<String> = lines.iter().map(|line| without_colours(line)).collect();
    let text = redact(&plain.join("\n"));
    let source = format!("{CONSOLE}{}", subject.name);
    Node { logs: vec![log(source, &text)], ..Node::new(subject, "its console") }
}

/// What the answers say; and the answers without secrets, to be kept. `during` is our own clock, from the question to the answer.
#[must_use]
pub fn read(subject: Subject, by: &str, answers: &Answers, during: &RangeInclusive<Timestamp>) -> (Node, Answers) {
    let kept = Answers(answers.0.iter().map(|(name, answer)| (name.clone(), without_secrets(answer))).collect());
    let (local_api, endpoint_api) = asked(answers);
    let node = Node {
        inside: true,
        clock_ahead: clock(answers, during),
        uptime: uptime(answers),
        // A file system that does not answer makes it fail, and tells the others.
        disks: answers.anyhow("disk").map(|(_, out, _)| disks(out)),
        links: links(answers),
        nameservers: answers.out("resolv").map(nameservers),
        endpoint: answers.out("endpoint").map(|out| out.trim().to_owned()),
        endpoint_resolves: resolves(answers),
        vip_neighbour: neighbour(answers),
        local_api,
        endpoint_api,
        units: units(answers.anyhow("units").map(|(_, out, _)| out).unwrap_or_default()),
        cloud_init: cloud_init(answers),
        bootstrapped: answers.anyhow("bootstrapped").map(|(_, out, _)| out.contains("bootstrap-success.complete")),
        manifests: answers.out("manifests").map(manifests),
        containers: containers(answers),
        cni: answers.anyhow("cni").map(|(_, out, _)| out.lines().filter(|line| is_cni(line)).map(str::to_owned).collect()),
        kubelet_provider_id: provider_id(answers.out("kubelet-flags").unwrap_or_default()),
        registered: registered(answers),
        logs: logs(&kept),
        ..Node::new(subject, by)
    };
    (node, kept)
}

/// Without what colours a terminal: escape, `[`, parameters, `m`.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').trim_start_matches('m'))
}

fn without_secrets(answer: &Answer) -> Answer {
    match answer {
        Answer::Ended { code, out, err } => Answer::Ended { code: *code, out: redact(out), err: redact(err) },
        Answer::TimedOut => Answer::TimedOut,
    }
}

fn garbled<T>() -> Seen<T> {
    Err(Unknown("the answer makes no sense".into()))
}

fn clock(answers: &Answers, during: &RangeInclusive<Timestamp>) -> Seen<i64> {
    let Ok(theirs) = answers.out("clock")?.trim().parse::<i64>() else { return garbled() };
    let (begun, ended) = (during.start().as_second(), during.end().as_second());
    Ok(theirs.saturating_sub(ended).max(0) - begun.saturating_sub(theirs).max(0))
}

fn uptime(answers: &Answers) -> Seen<u64> {
    let seconds = answers.out("uptime")?.split(['.', ' ']).next().and_then(|seconds| seconds.parse().ok());
    seconds.map_or_else(garbled, Ok)
}

/// Kinds that are always full, take no room, or are somebody else's.
const NO_DISKS: [&str; 8] = ["iso9660", "squashfs", "overlay", "devtmpfs", "efivarfs", "virtiofs", "9p", "fuse"];

/// Two tables of `df -PT`: blocks, and inodes.
fn disks(out: &str) -> Vec<FileSystem> {
    let (blocks, inodes) = out.split_once("\n\n").unwrap_or((out, ""));
    let inodes: BTreeMap<&str, Option<u8>> = inodes.lines().filter_map(row).map(|(_, _, percent, mount)| (mount, percent)).collect();
    let one = |(size, free, _, mount): (u64, u64, Option<u8>, &str)| FileSystem {
        mount: mount.to_owned(),
        size,
        free,
        inodes: inodes.get(mount).copied().flatten(),
    };
    blocks.lines().filter_map(row).filter(|(size, ..)| *size > 0).map(one).collect()
}

/// Size, free, used in percent, mount point.
fn row(line: &str) -> Option<(u64, u64, Option<u8>, &str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, kind, size, _, free, percent, mount, ..] = words.as_slice() else { return None };
    // Pods' own are parts of others.
    if NO_DISKS.contains(kind) || mount.starts_with("/var/lib/kubelet/pods/") {
        return None;
    }
    Some((size.parse().ok()?, free.parse().ok()?, percent.trim_end_matches('%').parse().ok(), mount))
}

fn links(answers: &Answers) -> Seen<Vec<Link>> {
    let Ok(Value::Array(all)) = serde_json::from_str(answers.out("addresses")?) else { return garbled() };
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let one = |link: &Value| {
        let addresses = link["addr_info"].as_array().into_iter().flatten().filter_map(|info| {
            let address: IpAddr = info["local"].as_str()?.parse().ok()?;
            IpNet::new(address, info["prefixlen"].as_u64()?.try_into().ok()?).ok()
        });
        let made = link["linkinfo"]["info_kind"].as_str().is_some() || link["master"].is_string();
        let (name, mac) = (text(link, "ifname"), text(link, "address"));
        Link { wire: !made && text(link, "link_type") == "ether", name, mac, addresses: addresses.collect() }
    };
    Ok(all.iter().map(one).collect())
}

fn nameservers(out: &str) -> Vec<String> {
    let named = out.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    named.map(|server| server.trim().to_owned()).filter(|server| !server.is_empty()).collect()
}

fn resolves(answers: &Answers) -> Option<bool> {
    match answers.0.get("endpoint-name")? {
        Answer::Ended { code: 0, .. } => Some(true),
        // A server that does not answer is waited for longer than any question.
        Answer::Ended { code: 2, .. } | Answer::TimedOut => Some(false),
        // It is no name.
        Answer::Ended { .. } => None,
    }
}

/// A line of `ip neigh`: `10.0.0.100 dev eth1 lladdr 02:… REACHABLE`.
fn neighbour(answers: &Answers) -> Option<String> {
    let (_, out, _) = answers.anyhow("vip").ok()?;
    out.lines().find_map(|line| Some(line.split_once("lladdr ")?.1.split(' ').next()?.to_lowercase()))
}

/// `local 127.0.0.1:6443 curl: (7) Failed to connect … 000`.
fn asked(answers: &Answers) -> (Option<Asked>, Option<Asked>) {
    let out = answers.out("api").unwrap_or_default();
    let find = |name: &str| {
        let line = out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let (address, words) = line.split_once(' ')?;
        let (why, status) = words.trim().rsplit_once(' ').unwrap_or(("", words.trim()));
        let answer = match status.parse() {
            Ok(status) if status > 0 => Ok(status),
            _ if why.is_empty() => Err("no answer".to_owned()),
            _ => Err(why.trim().to_owned()),
        };
        Some(Asked { address: address.to_owned(), answer })
    };
    (find("local"), find("endpoint"))
}

fn units(out: &str) -> BTreeMap<String, Unit> {
    let pairs = |block: &str| -> BTreeMap<String, String> {
        block.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let one = |block: &str| {
        let mut told = pairs(block);
        let mut take = |key: &str| told.remove(key).unwrap_or_default();
        let name = take("Id").trim_end_matches(".service").to_owned();
        let unit = Unit {
            loaded: take("LoadState") == "loaded",
            active: take("ActiveState"),
            result: take("Result"),
            restarts: take("NRestarts").parse().unwrap_or_default(),
        };
        (!name.is_empty()).then_some((name, unit))
    };
    out.split("\n\n").filter_map(one).collect()
}

fn cloud_init(answers: &Answers) -> Seen<CloudInit> {
    let Ok(status) = serde_json::from_str::<Value>(answers.out("cloud-init")?) else { return garbled() };
    let Some(v1) = status["v1"].as_object() else { return garbled() };
    let mut errors = Vec::new();
    for (stage, told) in v1 {
        let texts = |key: &str| told[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        errors.extend(texts("errors").into_iter().map(|error| (stage.clone(), error.to_owned())));
    }
    let last = v1.get("modules-final");
    Ok(CloudInit {
        stage: v1.get("stage").and_then(Value::as_str).map(str::to_owned),
        done: last.is_some_and(|last| last["finished"].as_f64().is_some()),
        datasource: v1.get("datasource").and_then(Value::as_str).unwrap_or_default().to_owned(),
        errors,
    })
}

/// Files' names without what is behind the dot.
fn manifests(out: &str) -> BTreeSet<String> {
    let names = out.lines().filter_map(|line| line.strip_prefix("==> ")?.strip_suffix(" <=="));
    names.map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()).collect()
}

fn containers(answers: &Answers) -> Seen<Vec<Container>> {
    let Ok(told) = serde_json::from_str::<Value>(answers.out("containers")?) else { return garbled() };
    let mut newest: BTreeMap<(String, String), Container> = BTreeMap::new();
    for container in told["containers"].as_array().into_iter().flatten() {
        let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let found = Container {
            pod: text("/labels/io.kubernetes.pod.name"),
            name: text("/metadata/name"),
            attempt: container.pointer("/metadata/attempt").and_then(Value::as_u64).unwrap_or_default(),
            running: text("/state") == "CONTAINER_RUNNING",
        };
        let key = (found.pod.clone(), found.name.clone());
        if newest.get(&key).is_none_or(|known| known.attempt <= found.attempt) {
            newest.insert(key, found);
        }
    }
    Ok(newest.into_values().collect())
}

fn is_cni(name: &str) -> bool {
    [".conf", ".conflist", ".json"].iter().any(|end| name.trim().ends_with(end))
}

/// Of the last `--provider-id=` in flags.
fn provider_id(flags: &str) -> Option<String> {
    let (_, rest) = flags.rsplit_once("--provider-id")?;
    let id = rest.trim_start_matches(['=', ' ']).split(|c: char| c.is_whitespace() || "\"'".contains(c)).find(|word| !word.is_empty())?;
    Some(id.to_owned())
}

fn registered(answers: &Answers) -> Seen<Registered> {
    let Ok(node) = serde_json::from_str::<Value>(answers.out("node")?) else { return garbled() };
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Registered {
        ready: ready.is_some_and(|ready| ready["status"] == "True"),
        message: text(ready.map(|ready| &ready["message"])),
        provider_id: text(node.pointer("/spec/providerID")),
    })
}

/// Logs by the questions that bring them.
const LOGS: [(&str, &str); 8] = [
    ("kernel", "kernel's log"),
    ("cloud-init-log", "/var/log/cloud-init.log"),
    ("cloud-init-journal", "journal of cloud-init"),
    ("cloud-init-output", "/var/log/cloud-init-output.log"),
    ("kubelet-journal", "journal of kubelet"),
    ("containerd-journal", "journal of containerd"),
    ("network-journal", "journal of the network"),
    ("keepalived-journal", "journal of keepalived"),
];

fn log(source: String, text: &str) -> Log {
    Log { source, lines: text.lines().map(str::to_owned).collect(), first: 1 }
}

fn logs(answers: &Answers) -> Vec<Log> {
    let own = LOGS.into_iter().filter_map(|(name, source)| Some(log(source.to_owned(), answers.out(name).ok()?)));
    own.chain(pod_logs(answers.out("pod-logs").unwrap_or_default())).collect()
}

/// `==> /var/log/pods/NAMESPACE_POD_UID/CONTAINER/N.log <==`, and lines in the form of container runtimes: `TIME stderr F TEXT`.
fn pod_logs(out: &str) -> Vec<Log> {
    let mut logs: Vec<Log> = Vec::new();
    for line in out.lines() {
        if let Some(path) = line.strip_prefix("==> ").and_then(|line| line.strip_suffix(" <==")) {
            let parts: Vec<&str> = path.rsplit('/').collect();
            let (file, container, pod) = match parts.as_slice() {
                [file, container, pod, ..] => (file.trim_end_matches(".log"), *container, *pod),
                _ => continue,
            };
            let pod: Vec<&str> = pod.split('_').take(2).collect();
            logs.push(Log { source: format!("log of {container} in {}, start {file}", pod.join("/")), lines: Vec::new(), first: 1 });
        } else if let Some(last) = logs.last_mut() {
            let words = line.splitn(4, ' ').nth(3);
            last.lines.push(words.unwrap_or(line).to_owned());
        }
    }
    // They are told newest first; whoever looks for the last of a container finds it at the end.
    logs.reverse();
    logs
}
