//! `lab fault`: tells a running simulator what goes wrong.

use std::collections::BTreeMap;

use anyhow::Context;
use anyhow::ensure;
use capstead_lab::fault::Active;
use capstead_lab::fault::Fault;
use capstead_lab::flintlock::FaultKind;
use capstead_plane::Plane;
use http::Method;
use http::Request;
use jiff::SignedDuration;
use jiff::Timestamp;
use jiff::Unit;
use kube::Client;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::cli::AnyKind;
use crate::cli::FaultAdd;
use crate::cli::FaultCommand;
use crate::cli::FaultLs;
use crate::cli::FaultRm;
use crate::cli::Simulator;
use crate::commands::simulated::HOSTS;
use crate::config::Config;
use crate::output;

/// Where faults of clusters are.
const CLUSTERS: &str = "/clusters/faults";
/// Where faults of hosts are.
const OF_HOSTS: &str = "/faults";

/// Everything that goes wrong.
#[derive(Serialize)]
struct All {
    clusters: Vec<Active>,
    hosts: BTreeMap<String, f64>,
}

/// Does what is asked.
pub async fn run(config: &Config, command: FaultCommand) -> anyhow::Result<()> {
    match command {
        FaultCommand::Ls(args) => ls(config, &args).await,
        FaultCommand::Add(args) => add(config, args).await,
        FaultCommand::Rm(args) => rm(config, &args).await,
    }
}

async fn ls(config: &Config, args: &FaultLs) -> anyhow::Result<()> {
    let lab = Lab::of(config, &args.simulator)?;
    let all = All { clusters: lab.ask(Method::GET, CLUSTERS, None).await?, hosts: lab.ask(Method::GET, OF_HOSTS, None).await? };
    output::print(args.output, &all, || table(&all))
}

async fn add(config: &Config, args: FaultAdd) -> anyhow::Result<()> {
    let lab = Lab::of(config, &args.simulator)?;
    let all = match args.kind {
        AnyKind::Cluster(kind) => {
            let FaultAdd { cluster, machine, rate, by, lasting, .. } = args;
            let fault = Fault { kind, cluster, machine, rate, by, lasting };
            let active = lab.ask(Method::POST, CLUSTERS, Some(serde_json::to_value(fault)?)).await?;
            All { clusters: vec![active], hosts: BTreeMap::new() }
        }
        AnyKind::Host(kind) => {
            let narrowed = args.cluster.is_some() || args.machine.is_some() || args.by.is_some() || args.lasting.is_some();
            ensure!(!narrowed, "{kind} is a fault of hosts: it takes no --cluster, --machine, --by or --for");
            let rate = args.rate;
            lab.set_host_fault(kind.as_str(), Some(rate)).await?;
            All { clusters: Vec::new(), hosts: BTreeMap::from([(kind.as_str().to_owned(), rate)]) }
        }
    };
    output::print(args.output, &all, || table(&all))
}

async fn rm(config: &Config, args: &FaultRm) -> anyhow::Result<()> {
    let lab = Lab::of(config, &args.simulator)?;
    if args.all {
        lab.tell(Method::DELETE, CLUSTERS, None).await?;
        return lab.tell(Method::PUT, OF_HOSTS, Some(json!({}))).await;
    }
    for id in &args.ids {
        if let Ok(number) = id.parse::<u64>() {
            lab.tell(Method::DELETE, &format!("{CLUSTERS}/{number}"), None).await?;
        } else {
            let kind: FaultKind =
                id.parse().ok().with_context(|| format!("{id:?} is neither a fault's number nor the kind of a host's fault"))?;
            lab.set_host_fault(kind.as_str(), None).await?;
        }
    }
    Ok(())
}

/// A running simulator's control server.
struct Lab {
    client: Client,
    address: String,
}

impl Lab {
    fn of(config: &Config, simulator: &Simulator) -> anyhow::Result<Self> {
        let address = match &simulator.address {
            Some(address) => address.clone(),
            None => {
                let plane = Plane::load(&super::super::layout(config, &simulator.which)?)?;
                let port = plane.port(HOSTS, "control").with_context(|| {
                    format!("the plane {:?} has no simulated hosts; name its plane with --name, or the control server of a simulator with --address", plane.name)
                })?;
                format!("127.0.0.1:{port}")
            }
        };
        let uri = format!("http://{address}").parse().with_context(|| format!("--address {address:?} is not HOST:PORT"))?;
        let client = Client::try_from(kube::Config::new(uri)).context("cannot make a client for the simulator")?;
        Ok(Self { client, address })
    }

    /// What the simulator answers.
    async fn ask<T: serde::de::DeserializeOwned>(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<T> {
        let answer = self.send(method, path, body).await?;
        serde_json::from_str(&answer).with_context(|| format!("what the simulator at {} answers to {path} cannot be read", self.address))
    }

    async fn tell(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<()> {
        self.send(method, path, body).await.map(drop)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<String> {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = self.client.request_text(request.body(body)?).await;
        answer.map_err(|error| match error {
            // The simulator answers in plain words, which say it all.
            kube::Error::Api(status) => anyhow::anyhow!("{}", status.message.trim()),
            error => anyhow::Error::new(error).context(format!("the simulator at {} does not answer", self.address)),
        })
    }

    async fn set_host_fault(&self, kind: &str, rate: Option<f64>) -> anyhow::Result<()> {
        let mut faults: BTreeMap<String, f64> = self.ask(Method::GET, OF_HOSTS, None).await?;
        match rate {
            Some(rate) => drop(faults.insert(kind.to_owned(), rate)),
            None => ensure!(faults.remove(kind).is_some(), "no host has the fault {kind}"),
        }
        self.tell(Method::PUT, OF_HOSTS, Some(serde_json::to_value(faults)?)).await
    }
}

fn table(all: &All) -> String {
    let now = Timestamp::now();
    let percent = |rate: f64| format!("{} %", rate * 100.0);
    let span = |duration: SignedDuration| format!("{duration:#}");
    let clusters = all.clusters.iter().map(|Active { id, fault, until, .. }| {
        let dash = || "-".to_owned();
        let left = until.map(|until| span(until.duration_since(now).max(SignedDuration::ZERO).round(Unit::Second).unwrap_or_default()));
        [
            id.to_string(),
            fault.kind.to_string(),
            fault.cluster.clone().unwrap_or_else(|| "all".into()),
            fault.machine.clone().unwrap_or_else(dash),
            percent(fault.rate),
            fault.by.map_or_else(dash, span),
            left.unwrap_or_else(dash),
        ]
    });
    let dash = || "-".to_owned();
    let hosts = all.hosts.iter().map(|(kind, rate)| [kind.clone(), kind.clone(), "hosts".into(), dash(), percent(*rate), dash(), dash()]);
    output::table(["ID", "KIND", "CLUSTER", "MACHINE", "RATE", "BY", "LEFT"], clusters.chain(hosts))
}
