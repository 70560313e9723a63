//! The daemon: installed, started, listening, answering; and what it pulls from.

use super::Judged;
use super::Need;
use super::Rule;
use super::Unknown;
use super::fail;
use super::fail_and;
use super::must;
use super::pass;
use super::warn;
use crate::observe::Api;
use crate::observe::Observed;
use crate::observe::Unit;
use crate::wish;
use crate::wish::Network;
use crate::wish::Runtime;
use crate::wish::VMM_USER;
use crate::wish::Wish;

/// The service whose list is the proof that a flintlock host answers.
pub const SERVICE: &str = "microvm.services.api.v1alpha1.MicroVM";

pub(super) fn unit(seen: &Observed, name: &str) -> Result<Unit, Unknown> {
    seen.units.as_ref().map(|units| units.get(name).cloned().unwrap_or_default()).map_err(Clone::clone)
}

pub(super) fn active(unit: &Unit, fix_missing: &str) -> Judged {
    match unit {
        Unit { loaded: false, .. } => fail_and("there is no such unit", fix_missing),
        unit => must(unit.active == "active", unit.active.clone()),
    }
}

/// What a flag of the daemon is, on the command line or in its file.
pub(super) fn flag(wish: &Wish, seen: &Observed, name: &str) -> Result<Option<String>, Unknown> {
    let command = unit(seen, wish.unit())?.command;
    let given = wish::flag(command.split_whitespace(), name).map(str::to_owned);
    Ok(given.or_else(|| seen.config.get(name).cloned()).filter(|value| !value.is_empty()))
}

/// Checks of what a client sees.
pub(super) const OUTSIDE: [&str; 5] = ["reachable", "tls", "auth", "grpc-api", "list-microvms"];

fn api(seen: &Observed) -> Result<&Api, Unknown> {
    seen.api.as_ref().ok_or_else(|| Unknown("no client asked".into()))
}

/// Of a host that is not reached there is no more to say than that.
fn reached(seen: &Observed) -> Result<&Api, Unknown> {
    let api = api(seen)?;
    if api.reached.is_ok() { Ok(api) } else { Err(Unknown("it is not reached".into())) }
}

/// Checks that a client's view is needed for are not required of a host that is looked at from inside.
fn outside(_: &Wish) -> Need {
    Need::Advised
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "daemon",
        title: "Daemon's program",
        expected: "{program}, which tells its version",
        why: "its unit runs it",
        fix: "copy it there: `install -m 0755 capstead {program}`, or flintlockd of its releases",
        need: super::required,
        judge: |_, seen| match &seen.version {
            Ok(version) => pass(version.clone()),
            Err(unknown) => fail(unknown.0.clone()),
        },
    },
    Rule {
        id: "service",
        title: "Daemon's service",
        expected: "{unit} is active",
        why: "nobody makes microVMs while it is not",
        fix: "`systemctl start {unit}`; its own words: `journalctl -u {unit} -n 20`",
        need: super::required,
        judge: |wish, seen| {
            let own = unit(seen, wish.unit())?;
            match (own.loaded && own.active != "active", seen.log.as_deref()) {
                (true, Ok(said)) if !said.is_empty() => fail(format!("{}: {said}", own.active)),
                _ => active(&own, "`capstead host prepare`"),
            }
        },
    },
    Rule {
        id: "starts-at-boot",
        title: "Daemon starts at boot",
        expected: "{unit} is enabled",
        why: "after a reboot microVMs are made again only by a daemon that runs",
        fix: "`systemctl enable {unit}`",
        need: super::advised,
        judge: |wish, seen| {
            let own = unit(seen, wish.unit())?;
            must(own.enabled.starts_with("enabled"), if own.enabled.is_empty() { "not installed".into() } else { own.enabled })
        },
    },
    Rule {
        id: "unit-is-read",
        title: "systemd knows the unit as it is",
        expected: "its files did not change since systemd read them",
        why: "what was changed has no effect until then",
        fix: "`systemctl daemon-reload && systemctl restart {unit}`",
        need: super::advised,
        judge: |wish, seen| {
            let stale = unit(seen, wish.unit())?.stale;
            must(!stale, if stale { "changed on disk" } else { "as read" })
        },
    },
    Rule {
        id: "vmms-survive",
        title: "VMMs outlive the daemon",
        expected: "KillMode=process",
        why: "with another, restarting the daemon kills every microVM of the host",
        fix: "`KillMode=process` in the unit's [Service]",
        need: super::advised,
        judge: |wish, seen| {
            let unit = unit(seen, wish.unit())?;
            if unit.loaded {
                must(unit.kill_mode == "process", format!("KillMode={}", unit.kill_mode))
            } else {
                Err(Unknown("there is no such unit".into()))
            }
        },
    },
    Rule {
        id: "vmm-user",
        title: "VMMs' own user",
        expected: "the system user capstead-vmm, who may open /dev/kvm; or another by --vmm-user",
        why: "else VMMs run as root, and a guest that breaks out of its VMM is root",
        fix: "`capstead host prepare`, or `useradd --system --no-create-home --shell /usr/sbin/nologin --groups kvm capstead-vmm`; then `systemctl restart {unit}`",
        need: |wish| Need::advised_if(wish.runtime == Runtime::Capstead, "flintlockd knows none"),
        judge: |wish, seen| {
            match flag(wish, seen, "vmm-user")?.as_deref() {
                None | Some(VMM_USER) => (),
                Some("root") => return fail_and("--vmm-user root", "leave the flag out, and `capstead host prepare`"),
                Some(other) => return pass(format!("--vmm-user {other}")),
            }
            match (&seen.vmm_groups.clone()?, &seen.kvm) {
                (None, _) if wish.network == Network::User && seen.root == Ok(false) => {
                    pass("whoever runs the daemon, and that need not be root")
                }
                (None, _) => fail("there is no such user"),
                (Some(groups), Ok(Some(kvm))) if !kvm.opens_to(groups) => fail_and(
                    format!("{VMM_USER} may not open /dev/kvm ({})", kvm.rights),
                    "`usermod --append --groups kvm capstead-vmm`, and `systemctl restart {unit}`",
                ),
                (Some(_), _) => pass(VMM_USER),
            }
        },
    },
    Rule {
        id: "listening",
        title: "Daemon listens",
        expected: "{endpoint}, by the daemon",
        why: "Cluster API's provider talks to it there; on a loopback address nobody else does",
        fix: "give the daemon `--grpc-endpoint {endpoint}`, and restart it; `ss -ltnp` names who has the port",
        need: super::required,
        judge: |wish, seen| {
            let Some(port) = wish.port() else { return Err(Unknown(format!("{} names no port", wish.grpc_endpoint))) };
            let own: Vec<_> = seen.listeners.as_ref().map_err(Clone::clone)?.iter().filter(|l| !l.udp && l.port == port).cloned().collect();
            let foreign =
                own.iter().filter_map(|l| l.process.as_deref()).find(|name| !["capstead", "flintlockd", "systemd"].contains(name));
            let addresses = || own.iter().map(|l| l.address.map_or("any address".into(), |a| a.to_string())).collect::<Vec<_>>().join(", ");
            match (own.as_slice(), foreign) {
                ([], _) => fail(format!("nothing listens on port {port}")),
                (_, Some(name)) => {
                    fail_and(format!("{name} has port {port}"), format!("end {name}, or give the daemon another --grpc-endpoint"))
                }
                (some, _) if wish.serves_others() && some.iter().all(|l| l.address.is_some_and(|address| address.is_loopback())) => {
                    fail(format!("on {} only", addresses()))
                }
                _ => pass(format!("port {port} on {}", addresses())),
            }
        },
    },
    Rule {
        id: "reachable",
        title: "Reachable over the network",
        expected: "a connection to the gRPC port",
        why: "the management cluster must reach it",
        fix: "`ip route get ADDRESS` from where you are; firewalls between; `--grpc-endpoint 0.0.0.0:9090` on the host",
        need: outside,
        judge: |_, seen| match &api(seen)?.reached {
            Ok(()) => pass(api(seen)?.address.clone()),
            Err(why) => fail(why.clone()),
        },
    },
    Rule {
        id: "tls",
        title: "TLS",
        expected: "the host's certificate is trusted, and the client's taken",
        why: "without TLS whoever is between reads and changes everything, the token too",
        fix: "give the daemon --tls-cert and --tls-key, and clients the authority's certificate",
        need: outside,
        judge: |wish, seen| match &reached(seen)?.tls {
            Some(Ok(())) => pass("trusted"),
            Some(Err(why)) => fail(why.clone()),
            None if wish.serves_others() => warn("not used, beyond loopback"),
            None => pass("not used, on loopback"),
        },
    },
    Rule {
        id: "auth",
        title: "Token",
        expected: "callers must send one, and ours is taken",
        why: "who may call the daemon may run anything on the host's network",
        fix: "give the daemon --basic-auth-token, or TLS with --tls-client-validate",
        need: outside,
        judge: |wish, seen| {
            let api = reached(seen)?;
            match &api.token {
                Some(Ok(())) => pass("taken"),
                Some(Err(why)) => fail_and(why.clone(), "the client's token and the daemon's --basic-auth-token must be the same"),
                None if api.services.is_ok() && api.tls.is_none() && wish.serves_others() => warn("none is asked for"),
                None => pass("none"),
            }
        },
    },
    Rule {
        id: "grpc-api",
        title: "gRPC API",
        expected: "microvm.services.api.v1alpha1.MicroVM is listed",
        why: "it is what Cluster API's provider calls",
        fix: "another server may have the port: `grpcurl -plaintext HOST:9090 list`",
        need: outside,
        judge: |_, seen| match &reached(seen)?.services {
            Ok(services) if services.iter().any(|service| service == SERVICE) => pass(SERVICE),
            Ok(services) => fail(format!("lists {}", services.join(", "))),
            Err(why) => fail(why.clone()),
        },
    },
    Rule {
        id: "list-microvms",
        title: "ListMicroVMs",
        expected: "an answer",
        why: "it takes the way through the whole daemon, and for flintlockd through containerd",
        fix: "`journalctl -u {unit} -n 20` on the host",
        need: outside,
        judge: |_, seen| match &reached(seen)?.microvms {
            Ok(count) => pass(format!("{count} microVMs")),
            Err(why) => fail(why.clone()),
        },
    },
    Rule {
        id: "name-resolution",
        title: "Names of registries",
        expected: "each resolves",
        why: "images are pulled by name",
        fix: "look at /etc/resolv.conf: `getent ahosts NAME`",
        need: |wish| Need::advised_if(!wish.registries.is_empty(), "no registry is named"),
        judge: |_, seen| {
            let failed: Vec<_> =
                seen.resolved.iter().filter_map(|(host, seen)| seen.as_ref().err().map(|why| format!("{host}: {why}"))).collect();
            if failed.is_empty() { pass(seen.resolved.keys().cloned().collect::<Vec<_>>().join(", ")) } else { fail(failed.join("; ")) }
        },
    },
    Rule {
        id: "registry",
        title: "Registries",
        expected: "each answers (200, or 401 to a caller without credentials)",
        why: "images are pulled from there, once for each host",
        fix: "a proxy in the daemon's environment (HTTPS_PROXY), --registry-mirror, or images by `capstead image import`",
        need: |wish| Need::advised_if(!wish.registries.is_empty(), "no registry is named"),
        judge: |_, seen| {
            let bad = |(host, answer): (&String, &Result<u16, Unknown>)| match answer {
                Ok(200 | 401) => None,
                Ok(code) => Some(format!("{host}: HTTP {code}")),
                Err(why) => Some(format!("{host}: {why}")),
            };
            let failed: Vec<_> = seen.registries.iter().filter_map(bad).collect();
            if failed.is_empty() { pass(seen.registries.keys().cloned().collect::<Vec<_>>().join(", ")) } else { fail(failed.join("; ")) }
        },
    },
    Rule {
        id: "images",
        title: "Images",
        expected: "those that were named are on the host",
        why: "the first microVM then waits for no pull, and needs no registry",
        fix: "`capstead host prepare --images …`, or `ctr -a {socket} -n {namespace} images pull IMAGE`",
        need: |wish| match (wish.images.is_empty(), wish.runtime) {
            (true, _) => Need::Not("no image is named"),
            (false, Runtime::Flintlock) => Need::Required,
            (false, Runtime::Capstead) => Need::Advised,
        },
        judge: |wish, seen| {
            let own = seen.images.clone()?;
            let missing: Vec<_> = wish.images.iter().filter(|image| !own.contains(*image)).cloned().collect();
            if missing.is_empty() { pass(wish.images.join(", ")) } else { fail(format!("missing: {}", missing.join(", "))) }
        },
    },
];
