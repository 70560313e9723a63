//! `capstead manager`: a provider's controllers and webhooks against a cluster.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use capstead_engine::certificates::Certificates;
use capstead_engine::certificates::Injector;
use capstead_engine::certificates::Lifetimes;
use capstead_engine::certificates::SecretStore;
use capstead_engine::certificates::Source;
use capstead_engine::certificates::Target;
use capstead_engine::client;
use capstead_engine::error_chain;
use capstead_engine::leader::Election;
use capstead_engine::leader::Leadership;
use capstead_engine::metrics::Metrics;
use capstead_engine::serve;
use capstead_engine::serve::Access;
use capstead_engine::serve::Health;
use capstead_engine::storage;
use capstead_engine::webhook::Webhooks;
use capstead_provider::Clients;
use capstead_provider::Options;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube::Client;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;

use super::telemetry;
use crate::cli::manager::LogFormat;
use crate::cli::manager::Manager;
use crate::cli::manager::ProviderName;

/// Who we are to the API server.
const USER_AGENT: &str = concat!("capstead/", env!("CARGO_PKG_VERSION"));

/// Runs until told to end.
pub fn run(args: Manager) -> anyhow::Result<()> {
    // One thread: the work is waiting, and a second would only cost memory.
    super::runtime()?.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let stop = async {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        };
        let (names, webhooks) = match args.provider {
            ProviderName::Microvm => (MICROVM, capstead_microvm::webhooks(namespace(&args), &args.watch_filter)),
        };
        let telemetry = telemetry::start(log(&args), names.manager)?;
        let ended = manage(&args, &names, webhooks, stop).await;
        telemetry.stop().await;
        ended
    })
}

/// The log, to stderr.
fn log(args: &Manager) -> impl Layer<Registry> + Send + Sync + use<> {
    let level = match args.v {
        0 | 1 => "info,kube_client=off",
        2..=5 => "info,capstead=debug,kube_client=off",
        6..=8 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("CAPSTEAD_LOG").unwrap_or_else(|_| level.into());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log: Box<dyn Layer<Registry> + Send + Sync> = match args.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    log.with_filter(filter)
}

/// What tells one provider from another to a cluster; its components file has the same names.
struct Names {
    /// Field manager, and reporter of events.
    manager: &'static str,
    namespace: &'static str,
    service: &'static str,
    certificate: &'static str,
    lease: &'static str,
    mutating: &'static str,
    validating: &'static str,
    crds: [&'static str; 5],
}

const MICROVM: Names = Names {
    manager: "capstead-microvm",
    namespace: "capmvm-system",
    service: "capmvm-webhook-service",
    certificate: "capmvm-webhook-service-cert",
    lease: "controller-leader-elect-capmvm",
    mutating: "capmvm-mutating-webhook-configuration",
    validating: "capmvm-validating-webhook-configuration",
    crds: [
        "microvmclusters.infrastructure.cluster.x-k8s.io",
        "microvmclustertemplates.infrastructure.cluster.x-k8s.io",
        "microvmmachines.infrastructure.cluster.x-k8s.io",
        "microvmmachinetemplates.infrastructure.cluster.x-k8s.io",
        "externalloadbalancers.infrastructure.cluster.x-k8s.io",
    ],
};

/// Where a pod is told its namespace.
const OWN_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// How long open connections may go on when the process ends.
const GRACE: Duration = Duration::from_secs(2);
/// Between tries to have objects stored anew: the API server may not trust the webhooks yet.
const STORE_AGAIN: Duration = Duration::from_secs(5);

async fn manage(args: &Manager, names: &Names, webhooks: Webhooks, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let metrics = Metrics::new();
    let config = client::config(args.kubeconfig.as_deref(), USER_AGENT).await?;
    tracing::info!(provider = ?args.provider, version = env!("CARGO_PKG_VERSION"), server = %config.cluster_url, "starting");
    let rate = client::Rate { qps: args.kube_api_qps, burst: args.kube_api_burst };
    let clients = Clients {
        objects: client::client(config.clone(), Some(rate), &metrics)?,
        events: client::client(config.clone(), Some(rate), &metrics)?,
    };
    // What must never wait behind other requests.
    let own = client::client(config, None, &metrics)?;

    let certificates = Certificates::start(certificate_source(args, names, &own)).await?;
    let injector = args.webhook_cert_dir.is_none().then(|| Injector::new(own.clone(), targets(names), &certificates));
    let address = args.webhook_address.map_or_else(|| format!(":{}", args.webhook_port), |address| address.to_string());
    let webhook_server = webhooks.serve(&address, &certificates, &metrics).await?;
    let diagnostics_server = diagnostics(args, &own, &metrics).await?;
    // The last to listen: who is healthy serves everything else, and ends when one of its servers does.
    let health_server = serve::health(&args.health_addr, &Health::new()).await?;
    let mut servers: Vec<serve::Running> = [webhook_server, diagnostics_server, health_server].into_iter().flatten().collect();

    let inject = async {
        match injector {
            Some(injector) => injector.run().await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        () = inject => Err(anyhow::anyhow!("the webhooks' authority is no longer looked after")),
        error = one_ends(&mut servers) => Err(error.into()),
        ended = lead_and_run(args, names, &own, clients, &metrics, stop) => ended,
    };
    for server in servers {
        server.stop(GRACE).await;
    }
    ended
}

/// Waits until a server ends by itself; for ever, where there is none.
async fn one_ends(servers: &mut [serve::Running]) -> serve::ServeError {
    let ends: FuturesUnordered<_> = servers.iter_mut().map(serve::Running::ended).collect();
    match ends.into_future().await {
        (Some(Err(error)), _) => error,
        (Some(Ok(never)), _) => match never {},
        (None, _) => std::future::pending().await,
    }
}

async fn diagnostics(args: &Manager, client: &Client, metrics: &Metrics) -> anyhow::Result<Option<serve::Running>> {
    if args.insecure_diagnostics {
        return Ok(serve::insecure_diagnostics(&args.diagnostics_address, metrics).await?);
    }
    let source = Source::Memory { names: vec!["localhost".into()], lifetimes: Lifetimes::default() };
    let tls = Certificates::start(source).await?.server_config()?;
    Ok(serve::diagnostics(&args.diagnostics_address, metrics, Access::new(client.clone()), tls).await?)
}

fn certificate_source(args: &Manager, names: &Names, client: &Client) -> Source {
    match &args.webhook_cert_dir {
        Some(dir) => Source::Directory(dir.clone()),
        None => {
            let namespace = own_namespace(names);
            let service = names.service;
            Source::Secret {
                names: vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")],
                lifetimes: Lifetimes::default(),
                store: SecretStore::new(client.clone(), &namespace, names.certificate),
            }
        }
    }
}

fn targets(names: &Names) -> Vec<Target> {
    let crds = names.crds.iter().map(|name| Target::Crd((*name).into()));
    [Target::Mutating(names.mutating.into()), Target::Validating(names.validating.into())].into_iter().chain(crds).collect()
}

fn own_namespace(names: &Names) -> String {
    let told = std::fs::read_to_string(OWN_NAMESPACE).map(|text| text.trim().to_owned()).unwrap_or_default();
    if told.is_empty() { names.namespace.to_owned() } else { told }
}

/// Runs the controllers until told to stop; with leader election, while this process leads.
async fn lead_and_run(
    args: &Manager,
    names: &Names,
    own: &Client,
    clients: Clients,
    metrics: &Metrics,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(stop);
    if !args.leader_elect {
        return tokio::select! {
            ended = controllers(args, names, clients, metrics) => ended,
            () = stop => Ok(()),
        };
    }
    let namespace = args.leader_election_namespace.clone().unwrap_or_else(|| own_namespace(names));
    let election = Election {
        lease_duration: args.leader_elect_lease_duration,
        renew_deadline: args.leader_elect_renew_deadline,
        retry_period: args.leader_elect_retry_period,
        ..Election::new(namespace, names.lease)
    };
    let leadership = tokio::select! {
        leadership = Leadership::acquire(own.clone(), election, metrics) => leadership?,
        () = &mut stop => return Ok(()),
    };
    let ended = tokio::select! {
        ended = controllers(args, names, clients, metrics) => ended,
        () = leadership.lost() => anyhow::bail!("the lease is lost: another manager may act now, so this one must not"),
        () = stop => Ok(()),
    };
    // The controllers are no more, so another may begin at once.
    leadership.release().await;
    ended
}

/// Has what an earlier release stored stored anew, however long it takes, and then rests for ever. A manager of some objects only leaves that to another.
async fn store_anew(client: &Client, names: &Names, options: &Options) {
    if options.namespace.is_none() && options.watch_filter.is_empty() {
        for crd in names.crds {
            loop {
                match storage::store_anew(client, crd, names.manager).await {
                    Ok(None) => break,
                    Ok(Some(objects)) => {
                        tracing::info!(crd, objects, "what was stored in another version is stored anew");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(crd, error = %error_chain(&error), "what was stored in another version is not all stored anew yet")
                    }
                }
                tokio::time::sleep(STORE_AGAIN).await;
            }
        }
    }
    std::future::pending().await
}

/// The only namespace that is looked after, if not all are.
fn namespace(args: &Manager) -> Option<&str> {
    args.namespace.as_deref().filter(|namespace| !namespace.is_empty())
}

async fn controllers(args: &Manager, names: &Names, clients: Clients, metrics: &Metrics) -> anyhow::Result<()> {
    let options = Options {
        namespace: namespace(args).map(str::to_owned),
        watch_filter: args.watch_filter.clone(),
        machine_workers: args.machine_concurrency.get(),
        cluster_workers: args.cluster_concurrency.get(),
        sync_period: args.sync_period,
    };
    match args.provider {
        ProviderName::Microvm => {
            let secrets = clients.objects.clone();
            let balancers = Arc::new(capstead_microvm::Balancers::new(metrics));
            let of_clusters = Arc::clone(&balancers);
            let runtimes = |machines, clusters| capstead_microvm::runtimes(secrets, of_clusters, machines, clusters);
            let objects = clients.objects.clone();
            let balancers = capstead_provider::tell(&objects, metrics, &options, names.manager, balancers);
            let templates = capstead_provider::templates(&objects, metrics, &options, names.manager, capstead_microvm::template::told);
            tokio::select! {
                ended = capstead_provider::run(clients, metrics, &options, names.manager, runtimes) => ended?,
                ended = balancers => ended?,
                ended = templates => ended?,
                () = store_anew(&objects, names, &options) => (),
            }
        }
    }
    Ok(())
}
