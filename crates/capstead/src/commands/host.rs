//! `capstead host`: a daemon that runs microVMs, and the machine that it runs on.

pub mod api;
pub mod check;
mod prepare;
mod systemd;
mod table;
mod vmm_user;
pub mod wish;

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;

use anyhow::Context;
use anyhow::bail;
use capstead_artifact::oci::Mirrors;
use capstead_hostd::Host;
use capstead_hostd::HostOptions;
use capstead_hostd::Settings;
use capstead_hostd::World;
use capstead_hostd::auth::Token;
use capstead_hostd::metrics::Metrics;
use capstead_hostd::records::Records;
use capstead_hostd::serve::Listen;
use capstead_hostd::tls::TlsFiles;
use capstead_hostnet::Config;
use capstead_hostnet::HostNet;
use capstead_image::pull::PullOptions;
use capstead_image::store::Store;
use capstead_vmm::Accel;
use capstead_vmm::CloudHypervisor;
use capstead_vmm::Confinement;
use capstead_vmm::Driver;
use capstead_vmm::DriverKind;
use capstead_vmm::Firecracker;
use capstead_vmm::NoVirtiofsd;
use capstead_vmm::Probe;
use capstead_vmm::Qemu;
use capstead_vmm::Runner;
use capstead_vmm::User;
use capstead_vmm::Virtiofsd;
use capstead_vmm::best;
use capstead_vmm::probe_as;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::telemetry;
use crate::cli::host::FLINTLOCKD;
use crate::cli::host::Host as Command;
use crate::cli::host::HostRun;
use crate::cli::manager::LogFormat;
use systemd::Systemd;

/// What this is called in traces.
const SERVICE: &str = "capstead-host";
/// The network of LANs that microVMs share without privileges.
const LAN: &str = "10.77.0.0/24";

/// Runs a command.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(args) => return runtime()?.block_on(check::run(&args)),
        Command::Prepare(args) => runtime()?.block_on(prepare::prepare(*args))?,
        Command::Restore(args) => runtime()?.block_on(prepare::restore(args))?,
        Command::Version { short: true, .. } => println!("{}", env!("CARGO_PKG_VERSION")),
        Command::Version { .. } => println!("capstead {} (flintlock v0.11.0's protocol)", env!("CARGO_PKG_VERSION")),
        Command::LanAgent => runtime()?.block_on(capstead_hostnet::agent::run()).context("cannot read the request or write the reply")?,
        Command::Run(args) => runtime()?.block_on(run_host(*args))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")
}

/// How this program carries out a request of its own within a LAN.
pub(super) fn agent() -> anyhow::Result<Vec<OsString>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    // Called as flintlockd, it takes the words that come after `host`.
    let host = (program.file_stem() != Some(FLINTLOCKD.as_ref())).then(|| "host".into());
    Ok([program.into_os_string()].into_iter().chain(host).chain(["lan-agent".into()]).collect())
}

async fn run_host(args: HostRun) -> anyhow::Result<()> {
    let telemetry = telemetry::start(log(&args)?, SERVICE)?;
    let ended = serve(args).await;
    telemetry.stop().await;
    ended
}

async fn serve(args: HostRun) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    for flag in args.meaningless.given() {
        tracing::warn!(flag, "means nothing here");
    }
    let mut listen = listen(&args)?;
    let sockets = systemd::sockets(&mut listen)?;
    let systemd = Systemd::from_env()?;
    listen.check()?;

    let state = std::path::absolute(&args.state_dir).context("--state-dir")?;
    std::fs::create_dir_all(&state).with_context(|| format!("cannot make --state-dir {}; `--state-dir` names another", state.display()))?;
    let user = vmm_user::find(args.vmm_user.as_deref())?;
    let (drivers, default) = drivers(&args, user.as_ref()).await?;
    let run = args.run_dir.clone().unwrap_or_else(|| state.join("run"));
    let instance = instance(&state)?;
    let confinement = Confinement { landlock: true, cgroup: cgroup(&instance), user: user.clone() };
    let runner = Runner::new(&run, drivers, confinement)?.with_virtiofsd(virtiofsd(&args).await);
    if let Some(user) = &user {
        vmm_user::check(user, &[&run, &state.join("vm")])?;
    }
    let store = Store::open(&state.join("images"))?;
    let net = HostNet::open(Config {
        instance,
        dir: state.join("net"),
        owner: user.map(|user| user.uid),
        agent: agent()?,
        lan_network: LAN.parse().context("the network of LANs")?,
    })?;
    let mirrors = args.registry_mirror.join(",").parse::<Mirrors>().context("--registry-mirror")?;
    let pull = PullOptions { mirrors, ..PullOptions::default() };
    let some = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
    let options = HostOptions {
        bridge: some(&args.bridge_name),
        parent: some(&args.parent_iface),
        local_images: args.local_images.clone(),
        shared_folders: args.virtiofs_allow.clone(),
    };
    let world = World::new(state.join("vm"), runner, store, net, pull, options, default);
    let metrics = Metrics::new(capstead_engine::metrics::process());
    let settings = Settings { most_failures: args.maximum_retry, grace: args.delete_timeout };
    let host = Host::start(world, settings, Records::open(&state.join("records"))?, metrics)?;

    let served = listen.serve_on(&host, sockets).await?;
    systemd.tell("READY=1");
    tracing::info!(grpc = %served.grpc(), http = served.http().map(tracing::field::display), debug = served.debug().map(tracing::field::display), driver = %default, "serving; Ctrl-C ends it, and microVMs run on");
    tokio::select! {
        _ = interrupt.recv() => (),
        _ = terminate.recv() => (),
        // Whatever holds the host's table for good is found out by this call.
        () = systemd.watch(|| drop(host.get(""))) => (),
    }
    systemd.tell("STOPPING=1");
    served.stop().await;
    host.stop();
    Ok(())
}

fn log(args: &HostRun) -> anyhow::Result<impl Layer<Registry> + Send + Sync + use<>> {
    let level = match args.verbosity {
        0 | 1 => "info",
        2..=8 => "info,capstead=debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("CAPSTEAD_LOG").unwrap_or_else(|_| level.into());
    let (writer, colours) = match args.log_output.as_str() {
        "stderr" => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
        "stdout" => (BoxMakeWriter::new(std::io::stdout), std::io::stdout().is_terminal()),
        path => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            (BoxMakeWriter::new(Mutex::new(file.with_context(|| format!("cannot write the log to {path}"))?)), false)
        }
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match args.log_format {
        LogFormat::Text => layer.with_ansi(colours).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    Ok(layer.with_filter(filter))
}

fn listen(args: &HostRun) -> anyhow::Result<Listen> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            let client_ca = args.tls_client_validate.then(|| args.tls_client_ca.clone()).flatten();
            if args.tls_client_validate && client_ca.is_none() {
                bail!("--tls-client-validate needs --tls-client-ca");
            }
            Some(TlsFiles { cert: cert.clone(), key: key.clone(), client_ca })
        }
        (None, None) => None,
        _ => bail!("--tls-cert and --tls-key need each other"),
    };
    Ok(Listen {
        grpc: address("--grpc-endpoint", &args.grpc_endpoint)?,
        http: args.enable_http.then(|| address("--http-endpoint", &args.http_endpoint)).transpose()?,
        debug: Some(&args.debug_endpoint).filter(|text| !text.is_empty()).map(|text| address("--debug-endpoint", text)).transpose()?,
        tls,
        token: args.basic_auth_token.as_deref().filter(|token| !token.is_empty()).map(Token::new),
        insecure: args.insecure,
    })
}

/// As Go reads it: a host's name or address and a port; without a host, every address.
fn address(flag: &str, text: &str) -> anyhow::Result<SocketAddr> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let found = full.to_socket_addrs().with_context(|| format!("{flag} {text}: HOST:PORT is expected"))?;
    // `localhost` is 127.0.0.1 to clients that know no IPv6.
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(|address| !address.is_ipv4());
    found.into_iter().next().with_context(|| format!("{flag} {text}: has no address"))
}

/// Those that work here, found out by running a guest of a few instructions; and the one for specs that name none.
async fn drivers(args: &HostRun, user: Option<&User>) -> anyhow::Result<(Vec<Arc<dyn Driver>>, DriverKind)> {
    let mut probes: Vec<Probe> = Vec::new();
    let mut drivers: Vec<Arc<dyn Driver>> = Vec::new();
    for driver in candidates(args) {
        if drivers.iter().any(|known| known.kind() == driver.kind()) {
            continue;
        }
        let probed = probe_as(driver.as_ref(), user).await;
        match &probed.result {
            Ok(took) => {
                tracing::info!(driver = %probed.driver, accel = %probed.accel, ?took, "works");
                drivers.push(driver);
            }
            Err(error) => {
                tracing::info!(driver = %probed.driver, accel = %probed.accel, why = %anyhow::anyhow!(error.to_string()), "does not work")
            }
        }
        probes.push(probed);
    }
    let Some(best) = best(&probes).map(|probe| probe.driver) else {
        let why: Vec<String> = probes
            .iter()
            .filter_map(|probe| Some(format!("{} ({}): {}", probe.driver, probe.accel, probe.result.as_ref().err()?)))
            .collect();
        bail!("no VMM runs a guest here: {}; install QEMU (Debian: qemu-system-x86), or name a VMM with --qemu-bin", why.join("; "));
    };
    let default = match args.default_provider.as_deref().filter(|name| !name.is_empty()) {
        None => best,
        Some(name) => {
            let kind: DriverKind = name.parse().context("--default-provider")?;
            if !drivers.iter().any(|driver| driver.kind() == kind) {
                bail!("--default-provider {name}: does not work here; {best} does");
            }
            kind
        }
    };
    Ok((drivers, default))
}

/// What serves shared folders. That there is nothing is told to who asks for one; at the start only where folders may be shared.
async fn virtiofsd(args: &HostRun) -> Result<Virtiofsd, NoVirtiofsd> {
    let found = Virtiofsd::find(Path::new(&args.virtiofs_bin)).await;
    match &found {
        Ok(virtiofsd) if !args.virtiofs_allow.is_empty() => tracing::info!(virtiofsd = %virtiofsd.program().display(), "shares folders"),
        Err(why) if !args.virtiofs_allow.is_empty() => tracing::warn!(%why, "no folder can be shared"),
        _ => (),
    }
    found
}

/// All that there may be, the better first.
fn candidates(args: &HostRun) -> Vec<Arc<dyn Driver>> {
    let mut all: Vec<Arc<dyn Driver>> = Vec::new();
    if is_there(&args.firecracker_bin) {
        all.push(Arc::new(Firecracker::new(&args.firecracker_bin)));
    }
    if is_there(&args.cloudhypervisor_bin) {
        all.push(Arc::new(CloudHypervisor::new(&args.cloudhypervisor_bin)));
    }
    if is_there(&args.qemu_bin) {
        all.push(Arc::new(Qemu::new(&args.qemu_bin, Accel::Kvm)));
        all.push(Arc::new(Qemu::new(&args.qemu_bin, Accel::Tcg)));
    }
    all
}

/// A program that is not there needs no word: nobody has all VMMs.
fn is_there(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    !program.is_empty() && (Path::new(program).is_file() || std::env::split_paths(&paths).any(|folder| folder.join(program).is_file()))
}

/// The folder for a cgroup of each VMM, where this host lets us have one. Its name does not depend on where the daemon itself is, so that VMMs are found
/// again and a service manager that ends the daemon leaves them alone.
fn cgroup(instance: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let root = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        words.next().filter(|_| words.next() == Some("cgroup2"))
    })?;
    let folder = Path::new(root).join("capstead").join(instance);
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder)
}

/// Tells the devices of this daemon from those of another on the same machine; it stays as long as the state does.
fn instance(state: &Path) -> anyhow::Result<String> {
    let path: PathBuf = state.join("instance");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let name = format!("{:08x}", rand::random::<u32>());
            let new = path.with_extension("new");
            std::fs::write(&new, &name)
                .and_then(|()| std::fs::rename(&new, &path))
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(name)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
