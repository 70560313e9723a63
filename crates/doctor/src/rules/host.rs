//! A host as its clients meet it.

use capstead_capi::condition::kind;
use capstead_microvm::machine::HOST_UNREACHABLE;
use capstead_preflight::Check;
use capstead_preflight::Report;
use capstead_preflight::Status;

use super::Rule;
use super::prepared;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::object::Object;
use crate::picture::Host;
use crate::picture::Picture;
use crate::picture::pools;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "host-unreachable",
        symptom: "the flintlock host is not reached from where the controllers run: HOST:9090",
        find: unreachable,
    },
    Rule { id: "host-api", symptom: "grpcurl -plaintext HOST:9090 list does not show microvm.services.api.v1alpha1.MicroVM", find: api },
];

/// A host's check, if it failed.
fn failed<'a>(report: &'a Report, id: &str) -> Option<&'a Check> {
    report.checks.iter().find(|check| check.id == id && check.status == Status::Fail)
}

/// Why a connection to it fails.
fn refusal(host: &Host) -> Option<&str> {
    failed(&host.report, "reachable").map(|check| check.found.as_str())
}

fn unreachable(picture: &Picture) -> Vec<Finding> {
    let machines = picture.machines().filter_map(|machine| Some((machine, machine.lacks(kind::READY)?)));
    let waiting = machines.filter(|(_, ready)| ready.reason == HOST_UNREACHABLE);
    let waiting: Vec<(&Object, &str)> = waiting.map(|(machine, ready)| (machine, ready.message.as_str())).collect();
    let names = |message: &str, host: &str| message.split([' ', ',', ';']).any(|word| word.trim_end_matches(':') == host);
    let pools = pools(picture.all());
    let mut findings = Vec::new();
    for host in &picture.hosts {
        let own = waiting.iter().filter(|(_, message)| names(message, &host.name));
        let said = refusal(host);
        let (cause, fix) = match said {
            None if own.clone().next().is_none() => continue,
            None => (
                "it is reached from here, but not from where the microVM provider runs; or it came back a moment ago",
                "give the daemon an address that the management cluster reaches (`--grpc-endpoint 0.0.0.0:9090`, no loopback), and open firewalls between",
            ),
            Some(why) if why.contains("refused") => (
                "its machine answers, and nobody listens on that port: the daemon is down, or listens on a loopback or another address",
                "on the host: `systemctl status capstead-host flintlockd`, `ss -tlnp 'sport = :9090'`; start the daemon with `--grpc-endpoint 0.0.0.0:9090`",
            ),
            Some(why) if why.contains("route") || why.contains("unreachable") => (
                "no way leads to its address from here",
                "`ip route get ADDRESS`; use an address of the host that the management cluster reaches",
            ),
            Some(why) if why.contains("no connection within") || why.contains("timed out") => (
                "its address does not answer: the machine is off, or a firewall drops what is sent to the port",
                "`ping` it; open the port in firewalls between",
            ),
            Some(_) => ("no connection to it comes about", "see that its name resolves, and that it is up"),
        };
        // The provider may reach what we do not: as long as nobody waits for it, that is a doubt.
        let is_doubt = own.clone().next().is_none() && pools.contains_key(&host.name);
        let severity = if is_doubt { Severity::Warning } else { Severity::Error };
        let mut finding = Finding::new(severity, format!("host {}", host.name), cause, fix);
        if let Some(why) = said {
            finding = finding.seen(format!("host {}", host.name), why);
        }
        findings.push(own.fold(finding, |finding, (machine, message)| finding.seen(machine.called(), message)));
    }
    let elsewhere = waiting.iter().filter(|(_, message)| !picture.hosts.iter().any(|host| names(message, &host.name)));
    for (machine, message) in elsewhere {
        let cause = "the host that it was placed on does not answer the microVM provider";
        let fix = "bring the host back; if it is gone for good, the annotation capstead.io/force-release lets the machine go";
        findings.push(Finding::error(machine.called(), cause, fix).seen(machine.called(), message));
    }
    findings
}

/// What a client's checks say of a host that is reached.
fn api(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    for host in picture.hosts.iter().filter(|host| !host.guarded) {
        // What has a rule of its own, by the words of it, is told there.
        let failed = ["tls", "auth", "grpc-api", "list-microvms"].iter().filter_map(|id| failed(&host.report, id));
        let mut failed = failed.filter(|check| !prepared::explains(&check.found)).peekable();
        let Some(first) = failed.peek() else { continue };
        let (cause, fix) = match first.id.as_str() {
            "tls" => (
                "it is not reached by TLS as it was tried",
                "--tls… must be those of the host: its certificate's authority, and a certificate where it asks for one",
            ),
            "auth" => (
                "it wants another token",
                "give --token, or CAPSTEAD_HOST_TOKEN; the microVM provider sends none yet: use a network of its own",
            ),
            "grpc-api" => (
                "something else has the port, or the daemon speaks TLS and was asked without",
                "`ss -tlnp 'sport = :9090'` on the host names who listens; try --tls",
            ),
            _ => (
                "its daemon answers, and cannot list microVMs",
                "its own words tell why: `journalctl -u capstead-host -u flintlockd -n 20` on the host",
            ),
        };
        let finding = Finding::error(format!("host {}", host.name), cause, fix);
        findings.push(failed.fold(finding, |finding, check| finding.seen(format!("host {} ({})", host.name, check.id), &check.found)));
    }
    findings
}

#[cfg(test)]
mod tests;
