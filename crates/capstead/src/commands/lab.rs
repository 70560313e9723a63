//! Simulators: `lab`.

pub mod fault;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use capstead_lab::Nodes;
use capstead_lab::flintlock::Guests;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings;
use capstead_lab::flintlock::Simulator;
use capstead_lab::flintlock::StartError;
use capstead_lab::workloads;
use serde::Serialize;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::Flintlock;
use crate::output;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listening {
    hosts: Vec<Host>,
    metrics_address: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Host {
    host: usize,
    address: SocketAddr,
}

/// Runs a simulator until it is told to end.
pub async fn run(args: Flintlock) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let _simulator = flintlock(args)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Says which flag is asked for.
fn consent(error: StartError) -> anyhow::Error {
    match error {
        StartError::NotLoopback(_) => anyhow::Error::new(error).context("--insecure is needed"),
        error => error.into(),
    }
}

fn flintlock(args: Flintlock) -> anyhow::Result<Simulator> {
    let settings = Settings {
        default_provider: args.default_provider,
        boot_delay: args.boot_delay,
        delete_delay: args.delete_delay,
        create_delay: args.create_delay,
        slow_delay: args.slow_delay,
    };
    let faults = args.fault.into_iter().collect();
    let nodes = workloads::Settings {
        kubeadm: args.kubeadm_delay,
        beyond_loopback: args.insecure,
        seed: args.seed,
        ..workloads::Settings::default()
    };
    let nodes = Arc::new(Nodes::new(nodes));
    let guests: Option<Arc<dyn Guests>> = Some(Arc::clone(&nodes) as _);
    let Flintlock { listen, hosts, insecure, seed, state, .. } = args;
    let options = Options { listen, hosts, insecure, settings, seed, faults, guests, state };
    let simulator = Simulator::start(options).map_err(consent)?;
    let metrics_address =
        args.metrics_address.map(|address| simulator.serve_control(address, nodes.control())).transpose().map_err(consent)?;
    let hosts = simulator.hosts().iter().map(|host| Host { host: host.number(), address: host.address() }).collect();
    let listening = Listening { hosts, metrics_address };
    output::print(args.output, &listening, || {
        let hosts = listening.hosts.iter().map(|host| format!("host {} listening on {}", host.host, host.address));
        let metrics = listening.metrics_address.map(|address| format!("metrics listening on {address}"));
        hosts.chain(metrics).collect::<Vec<_>>().join("\n")
    })?;
    Ok(simulator)
}
