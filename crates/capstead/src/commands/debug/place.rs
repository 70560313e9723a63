//! Which guest is meant, and where it is: by the management cluster, by its host, or by an address.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use capstead_doctor::node::Subject;
use capstead_doctor::picture::Host;
use capstead_doctor::picture::Management;
use capstead_doctor::picture::addresses_on_console;
use capstead_engine::error_chain;
use capstead_flintlock::Access;
use capstead_flintlock::types::MicroVm;
use capstead_preflight::Wish;
use capstead_preflight::judge_from_outside;
use tokio::time::timeout;

use super::inside::Door;
use super::objects;
use super::objects::Objects;
use crate::cli::Debug;
use crate::commands::doctor::guests;
use crate::commands::folders;
use crate::commands::host::api;
use crate::commands::vm;
use crate::commands::vm::access::access;

/// The port of ssh.
const SSH: u16 = 22;
/// The host that is asked where none is named.
const LOCAL: &str = "localhost:9090";

/// A guest, and the ways to it.
#[derive(Debug)]
pub struct Place {
    /// Who it is.
    pub subject: Subject,
    /// What the management cluster has of it.
    pub management: Management,
    /// Its host, with just this microVM.
    pub host: Option<Host>,
    /// Where its ssh may be.
    pub doors: Vec<Door>,
    /// Its Machine has a node that is Ready.
    pub is_node: bool,
    /// Why there is no console to read, where there is none.
    pub no_console: String,
}

/// Finds it, for no longer than about three times the limit.
pub async fn find(args: &Debug, limit: Duration) -> anyhow::Result<Place> {
    let given = args.address.as_deref().map(|text| door(text).context("--address: ADDRESS or ADDRESS:PORT is expected")).transpose()?;
    let mut place = match door(&args.machine) {
        Some(door) => Place {
            subject: Subject { name: args.machine.clone(), ..Subject::default() },
            management: Management::NotAsked,
            host: None,
            doors: vec![door],
            is_node: false,
            no_console: "only its address is known: name its microVM and its --host, on the host's own machine".to_owned(),
        },
        None => named(args, limit).await?,
    };
    if let Some(given) = given {
        place.doors = vec![given];
    }
    Ok(place)
}

/// An address: `10.0.0.5`, `10.0.0.5:2222`, `fd00::5`, `[fd00::5]:22`, `ssh://USER@HOST:PORT`. Names of hosts look like names of machines.
fn door(text: &str) -> Option<Door> {
    let plain = |address: String, port| Some(Door { address, port, user: None });
    if let Some(rest) = text.strip_prefix("ssh://") {
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user.to_owned()), rest));
        let (address, port) = match rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((address, port)) => (address, port.parse().ok()?),
            None => (rest, SSH),
        };
        let address = address.trim_matches(['[', ']']);
        let word = |text: &str| {
            !text.is_empty() && !text.starts_with('-') && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:%".contains(c))
        };
        return (word(address) && user.as_deref().is_none_or(word)).then(|| Door { address: address.to_owned(), port, user });
    }
    if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return plain(address.to_string(), SSH);
    }
    let address: SocketAddr = text.parse().ok()?;
    plain(address.ip().to_string(), address.port())
}

async fn named(args: &Debug, limit: Duration) -> anyhow::Result<Place> {
    let (own, name) = args.machine.split_once('/').map_or((None, args.machine.as_str()), |(own, name)| (Some(own), name));
    if name.is_empty() || own.is_some_and(|own| own.is_empty() || args.namespace.as_deref().is_some_and(|other| other != own)) {
        bail!("{:?} names no machine: NAME, NAMESPACE/NAME, a uid or an address is expected", args.machine);
    }
    let namespace = own.or(args.namespace.as_deref());
    if let (Some(host), None) = (&args.host, &args.kubeconfig) {
        let found = by_host(args, host, access(&args.access)?, namespace, name, limit).await?;
        return found.with_context(|| {
            format!("host {host} has no microVM {}; `capstead vm ls --host {host}` lists those that are there", args.machine)
        });
    }
    let asked = match timeout(limit, objects::find(args, namespace, name)).await {
        Ok(asked) => asked,
        Err(_) => Err(anyhow::anyhow!("no answer within {limit:?}")),
    };
    let why = match asked {
        Ok(Some(objects)) => return by_objects(args, objects, limit).await,
        Ok(None) => "the management cluster has no such Machine, or there is none".to_owned(),
        // A kubeconfig that was named is meant.
        Err(error) if args.kubeconfig.is_some() => return Err(error.context("--kubeconfig")),
        Err(error) => format!("the management cluster cannot be asked ({error:#})"),
    };
    match by_host(args, LOCAL, Access::default(), namespace, name, limit).await {
        Ok(Some(place)) => Ok(place),
        Ok(None) => bail!("there is no {}: {why}, and host {LOCAL} has no such microVM; name its host by --host", args.machine),
        Err(error) => bail!("there is no {}: {why}, and {error:#}; name its host by --host, or the cluster by --kubeconfig", args.machine),
    }
}

/// A microVM of a host; `None` if it has none of this name.
async fn by_host(
    args: &Debug,
    host: &str,
    access: Access,
    namespace: Option<&str>,
    name: &str,
    limit: Duration,
) -> anyhow::Result<Option<Place>> {
    let (api, listed) = api::look_by(host, &access, limit).await.context("--host")?;
    if let Err(why) = api.reached.as_ref().and(api.microvms.as_ref().map(|_| &())) {
        bail!("host {host} does not tell of its microVMs: {why}");
    }
    let own = |told: &MicroVm| {
        let Some(spec) = &told.spec else { return false };
        spec.uid() == name || (spec.id == name && namespace.is_none_or(|namespace| spec.namespace == namespace))
    };
    let mut found: Vec<MicroVm> = listed.into_iter().filter(own).collect();
    if found.len() > 1 {
        let mut names: Vec<String> = found.iter().map(|told| format!("{} ({})", vm::name(told), vm::uid(told))).collect();
        names.sort();
        bail!("{} microVMs are called {name}: {}; name one by NAMESPACE/NAME or its uid", names.len(), names.join(", "));
    }
    let Some(told) = found.pop() else { return Ok(None) };
    let subject = Subject { name: vm::name(&told), uid: vm::uid(&told).to_owned(), ..Subject::default() };
    let report = judge_from_outside(&Wish { grpc_endpoint: host.to_owned(), ..Wish::default() }, api);
    let place =
        Place { subject, management: Management::NotAsked, host: None, doors: Vec::new(), is_node: false, no_console: String::new() };
    let host = Host { name: host.to_owned(), report, guarded: false, microvms: Vec::new() };
    Ok(Some(on_host(args, place, host, told, limit).await))
}

/// What the management cluster has, and its host, where that tells it.
async fn by_objects(args: &Debug, objects: Objects, limit: Duration) -> anyhow::Result<Place> {
    let text = |kind: &str, pointer: &str| objects.of(kind).map(|object| object.text(pointer).to_owned()).unwrap_or_default();
    let named = objects.of("Machine").or(objects.of("MicrovmMachine"));
    let name = named.map(|object| format!("{}/{}", object.namespace(), object.name())).unwrap_or_default();
    let id = text("MicrovmMachine", "/spec/providerID");
    let (host, uid) = id.strip_prefix("microvm://").and_then(|rest| rest.rsplit_once('/')).unwrap_or_default();
    let subject = Subject {
        name,
        uid: uid.to_owned(),
        machine: true,
        provider_id: Some(id.clone()).filter(|id| !id.is_empty()),
        vip: text("Cluster", "/spec/controlPlaneEndpoint/host").parse().ok(),
    };
    let doors =
        ["MicrovmMachine", "Machine"].into_iter().filter_map(|kind| objects.of(kind)).flat_map(|object| object.items("/status/addresses"));
    let doors = doors.filter(|address| matches!(address["type"].as_str(), Some("InternalIP" | "ExternalIP")));
    let mut doors: Vec<Door> = doors.filter_map(|address| door(address["address"].as_str()?)).collect();
    doors.dedup();
    let mut place = Place {
        subject,
        is_node: objects.is_node(),
        management: Management::Seen { server: objects.server, objects: objects.all },
        host: None,
        doors,
        no_console: "its Machine does not say yet which microVM it is".to_owned(),
    };
    if uid.is_empty() {
        return Ok(place);
    }
    // A token is for whom it was given, and not for any address that a MicrovmCluster names.
    let known = args.host.as_deref() == Some(host);
    let access = if known { access(&args.access)? } else { Access::default() };
    let (api, listed) = match api::look_by(host, &access, limit).await {
        Ok(seen) => seen,
        Err(error) => {
            place.no_console = format!("host {host}: {}", error_chain(error.as_ref()));
            return Ok(place);
        }
    };
    let told = listed.into_iter().find(|told| vm::uid(told) == uid);
    let report = judge_from_outside(&Wish { grpc_endpoint: host.to_owned(), ..Wish::default() }, api);
    let seen = Host { name: host.to_owned(), report, guarded: !known, microvms: Vec::new() };
    if let Some(told) = told {
        return Ok(on_host(args, place, seen, told, limit).await);
    }
    place.no_console = format!("host {host} does not tell of its microVM");
    Ok(Place { host: Some(seen), ..place })
}

/// With what its host tells: ways to its ssh, and its console where that is here.
async fn on_host(args: &Debug, mut place: Place, mut host: Host, told: MicroVm, limit: Duration) -> Place {
    let here = guests::is_here(&host.name, limit).await;
    let run = here.then(|| folders::run_of(&args.folders, &args.run_dirs, vm::uid(&told)).ok()).flatten();
    let way = vm::shell::door(&told);
    let microvm = guests::microvm(told, run.as_deref());
    let mut doors = Vec::new();
    // A port of the host's machine is reached from there only, or by going through it.
    if let Some(way) = way.filter(|way| !way.on_host || here || args.jump.is_some())
        && let Ok(port) = way.port.parse()
    {
        doors.push(Door { address: way.address, port, user: None });
    }
    doors.append(&mut place.doors);
    doors.extend(addresses_on_console(&microvm.console).into_iter().map(|address| Door {
        address: address.to_string(),
        port: SSH,
        user: None,
    }));
    let mut known = Vec::new();
    doors.retain(|door| {
        let new = !known.contains(door);
        known.push(door.clone());
        new
    });
    place.doors = doors;
    place.no_console = match &run {
        None => format!("host {} is another machine: run this there", host.name),
        Some(run) => no_console(run, &microvm.uid),
    };
    host.microvms = vec![microvm];
    Place { host: Some(host), ..place }
}

fn no_console(run: &Path, uid: &str) -> String {
    format!(
        "there is none in {}, or it is not for you to read: run this as the user that runs the host, with its --state-dir",
        run.join(uid).display()
    )
}

#[cfg(test)]
mod tests {

    #[test]
    fn addresses_are_told_from_names() {
        let door = |text: &str| super::door(text).map(|door| (door.address, door.port, door.user));
        let at = |address: &str, port| Some((address.to_owned(), port, None));
        assert_eq!(door("10.0.0.5"), at("10.0.0.5", 22));
        assert_eq!(door("10.0.0.5:2222"), at("10.0.0.5", 2222));
        assert_eq!(door("fd00::5"), at("fd00::5", 22));
        assert_eq!(door("[fd00::5]:2222"), at("fd00::5", 2222));
        assert_eq!(door("ssh://node"), at("node", 22));
        assert_eq!(door("ssh://me@node:2222"), Some(("node".to_owned(), 2222, Some("me".to_owned()))));
        assert_eq!(door("ssh://[fd00::5]"), at("fd00::5", 22));
        for text in
            ["m1", "team/m1", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "node.lan", "", "ssh://", "ssh://-oProxyCommand=x", "ssh://a b", "ssh://a:b"]
        {
            assert_eq!(door(text), None, "{text}");
        }
    }
}
