//! What was seen, as one value: of the management cluster, of hosts and guests, and in logs.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use capstead_preflight::Report;
use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;

use crate::finding::Evidence;
use crate::node::Node;
use crate::object::Object;

pub use crate::rules::addresses_on_console;

/// Everything that was looked at, at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// When.
    pub now: Timestamp,
    /// The management cluster.
    pub management: Management,
    /// What came of connecting from here, by `HOST:PORT`; see [`to_reach`].
    pub reached: BTreeMap<String, Reach>,
    /// Hosts of microVMs.
    pub hosts: Vec<Host>,
    /// Guests that were looked into.
    pub nodes: Vec<Node>,
    /// Text to be explained.
    pub logs: Vec<Log>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

/// The management cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Management {
    /// Nobody wanted to know.
    NotAsked,
    /// It does not answer, or does not let us in.
    Unreachable {
        /// Its address.
        server: String,
        /// What happened.
        why: String,
    },
    /// Its objects.
    Seen {
        /// Its address.
        server: String,
        /// What it holds.
        objects: Vec<Object>,
    },
}

/// What came of connecting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// There is somebody.
    Open,
    /// The address is there, and nobody listens.
    Refused,
    /// No way leads there.
    NoRoute,
    /// No answer in time.
    Silent,
    /// Another thing happened.
    Failed(String),
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "a connection from here succeeds",
            Self::Refused => "a connection from here is refused",
            Self::NoRoute => "from here there is no route to host",
            Self::Silent => "a connection from here gets no answer",
            Self::Failed(why) => return write!(f, "a connection from here fails: {why}"),
        })
    }
}

/// A host of microVMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// `HOST:PORT` as pools have it, or `ssh://…`.
    pub name: String,
    /// What was found there.
    pub report: Report,
    /// It may want a token or TLS that was not given. So only whether it is reached counts.
    pub guarded: bool,
    /// Its microVMs.
    pub microvms: Vec<MicroVm>,
}

/// A microVM as its host tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MicroVm {
    /// The host's id for it.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name, which is that of the MicrovmMachine.
    pub name: String,
    /// `PENDING`, `CREATED`, `FAILED`, `DELETING`.
    pub state: String,
    /// Why it is so, if the host says.
    pub cause: String,
    /// How often the host stored it. No count of crashes.
    pub version: i32,
    /// How often in a row the host failed to make it.
    pub retry: i32,
    /// The last lines of its console, where they can be read.
    pub console: Vec<String>,
}

/// Text to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where it comes from.
    pub source: String,
    /// Its lines, or the last of them.
    pub lines: Vec<String>,
    /// The number of the first one.
    pub first: usize,
}

/// What could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

impl Picture {
    /// Nothing is known.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            management: Management::NotAsked,
            reached: BTreeMap::new(),
            hosts: Vec::new(),
            nodes: Vec::new(),
            logs: Vec::new(),
            unseen: Vec::new(),
        }
    }

    /// All objects of the management cluster.
    #[must_use]
    pub fn all(&self) -> &[Object] {
        match &self.management {
            Management::Seen { objects, .. } => objects,
            Management::NotAsked | Management::Unreachable { .. } => &[],
        }
    }

    /// Those of a kind.
    pub fn objects<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.all().iter().filter(move |object| object.kind() == kind)
    }

    /// The object of this name.
    #[must_use]
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<&Object> {
        self.all().iter().find(|object| object.kind() == kind && object.namespace() == namespace && object.name() == name)
    }

    /// The machines of microVMs.
    pub fn machines(&self) -> impl Iterator<Item = &Object> {
        self.objects("MicrovmMachine")
    }

    /// What hosts hold of a machine.
    pub fn microvms_of<'a>(&'a self, machine: &'a Object) -> impl Iterator<Item = (&'a Host, &'a MicroVm)> {
        let all = self.hosts.iter().flat_map(|host| host.microvms.iter().map(move |microvm| (host, microvm)));
        all.filter(|(_, microvm)| microvm.namespace == machine.namespace() && microvm.name == machine.name())
    }

    /// For how long something has been so, in seconds.
    #[must_use]
    pub fn seconds_since(&self, time: Timestamp) -> i64 {
        self.now.as_second().saturating_sub(time.as_second()).max(0)
    }

    /// Where in logs and on consoles a line holds any of these texts.
    #[must_use]
    pub fn logged(&self, texts: &[&str]) -> Vec<Evidence> {
        let logs = self.logs.iter().flat_map(|log| {
            let numbered = log.lines.iter().enumerate();
            numbered.map(move |(n, line)| (format!("{}, line {}", log.source, log.first + n), line.as_str()))
        });
        let consoles = self.hosts.iter().flat_map(|host| &host.microvms).flat_map(|microvm| {
            let source = format!("console of {}/{}", microvm.namespace, microvm.name);
            microvm.console.iter().map(move |line| (source.clone(), line.as_str()))
        });
        holding(texts, logs.chain(consoles))
    }

    /// Where anything that was seen holds any of these texts: conditions, what hosts say, logs, consoles.
    #[must_use]
    pub fn said(&self, texts: &[&str]) -> Vec<Evidence> {
        let conditions =
            self.all().iter().flat_map(|object| object.conditions().map(move |condition| (object.called(), condition.message.as_str())));
        let hosts = self.hosts.iter().flat_map(|host| {
            let checks = host.report.checks.iter().map(|check| (format!("host {} ({})", host.name, check.id), check.found.as_str()));
            let microvms = host.microvms.iter().map(|microvm| {
                let source = format!("microVM {}/{} on host {}", microvm.namespace, microvm.name, host.name);
                (source, microvm.cause.as_str())
            });
            checks.chain(microvms).collect::<Vec<_>>()
        });
        let mut found = holding(texts, conditions.chain(hosts));
        found.extend(self.logged(texts));
        found
    }
}

fn holding<'a>(texts: &[&str], lines: impl Iterator<Item = (String, &'a str)>) -> Vec<Evidence> {
    let holds = |line: &str| texts.iter().any(|text| line.contains(text));
    let found = lines.filter(|(_, line)| holds(line));
    found.map(|(source, line)| Evidence { source, said: line.trim().to_owned() }).collect()
}

/// Where is to be connected to, as `HOST:PORT`: clusters' endpoints, and webhooks that have an address of their own.
#[must_use]
pub fn to_reach(objects: &[Object]) -> BTreeSet<String> {
    let endpoints = objects.iter().filter(|object| object.kind() == "Cluster").filter_map(endpoint);
    let webhooks = objects.iter().flat_map(webhooks).filter_map(|(_, address)| address);
    endpoints.chain(webhooks).collect()
}

/// Where a cluster's API is, as its Cluster or MicrovmCluster says: `HOST:PORT`.
#[must_use]
pub fn endpoint(object: &Object) -> Option<String> {
    let host = object.text("/spec/controlPlaneEndpoint/host");
    let port = object.field("/spec/controlPlaneEndpoint/port")?.as_u64().filter(|port| *port > 0)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    (!host.is_empty()).then(|| format!("{host}:{port}"))
}

/// The webhooks of a configuration by name, with their `HOST:PORT` where they have one.
pub(crate) fn webhooks(object: &Object) -> Vec<(String, Option<String>)> {
    if !object.kind().ends_with("WebhookConfiguration") {
        return Vec::new();
    }
    let text = |webhook: &serde_json::Value, pointer: &str| {
        webhook.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let one = |webhook: &serde_json::Value| (text(webhook, "/name"), authority(&text(webhook, "/clientConfig/url")));
    object.items("/webhooks").map(one).collect()
}

/// `HOST:PORT` of an https URL.
fn authority(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
    let bare = authority.rsplit_once(':').is_none_or(|(_, port)| port.ends_with(']'));
    Some(if bare { format!("{authority}:443") } else { authority.to_owned() })
}

/// The hosts of all pools, and whether each may want credentials, which are in Secrets.
#[must_use]
pub fn pools(objects: &[Object]) -> BTreeMap<String, bool> {
    let mut hosts = BTreeMap::new();
    for cluster in objects.iter().filter(|object| object.kind() == "MicrovmCluster") {
        let guarded = ["/spec/tlsSecretRef", "/spec/placement/staticPool/basicAuthSecret", "/spec/microvmProxy"];
        let guarded = guarded.iter().any(|pointer| cluster.field(pointer).is_some());
        for host in cluster.items("/spec/placement/staticPool/hosts") {
            if let Some(endpoint) = host["endpoint"].as_str() {
                *hosts.entry(endpoint.to_owned()).or_default() |= guarded;
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests;
