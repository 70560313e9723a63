//! One function for each command.

mod cluster;
mod debug;
mod demo;
mod doctor;
mod e2e;
mod fleet;
mod folders;
mod follow;
mod generate;
mod host;
mod image;
mod inspect;
mod lab;
mod lan;
mod live;
mod manager;
mod real;
mod relay;
mod simulated;
mod stages;
mod telemetry;
mod template;
mod tools;
mod up;
mod vm;

use std::process::ExitCode;

use anyhow::Context;
use capstead_plane::Layout;
use clap::CommandFactory;
use tokio::runtime::Runtime;

use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::Lab;
use crate::cli::Which;
use crate::config::Config;

/// Runs a command.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    match cli.command {
        Command::Up(args) => done(runtime()?.block_on(up::up(&config, args))),
        Command::Down(args) => done(runtime()?.block_on(up::down(&config, &args))),
        Command::Supervise(which) => done(up::supervise(&config, &which)),
        Command::Install(args) => done(up::install(&config, &args)),
        Command::Deployments(which) => done(up::deployments(&config, &which)),
        Command::Relay(args) => done(runtime()?.block_on(relay::run(args))),
        Command::Status(args) => inspect::status(&config, &args),
        Command::Ls(args) => done(inspect::ls(&config, &args)),
        Command::Logs(args) => done(inspect::logs(&config, &args)),
        Command::Kubeconfig(args) => done(inspect::kubeconfig(&config, &args)),
        Command::Kubectl(args) => done(runtime()?.block_on(tools::exec(&config, "kubectl", args))),
        Command::Clusterctl(args) => done(runtime()?.block_on(tools::exec(&config, "clusterctl", args))),
        Command::Fetch(args) => done(runtime()?.block_on(tools::fetch(&config, &args))),
        Command::Manager(args) => done(manager::run(args)),
        Command::Host(command) => host::run(command),
        Command::Vm(command) => done(runtime()?.block_on(vm::run(command))),
        Command::Image(command) => done(runtime()?.block_on(image::run(&config, command))),
        Command::Doctor(args) => runtime()?.block_on(doctor::run(&args)),
        Command::Debug(args) => runtime()?.block_on(debug::run(&config, *args)),
        Command::Generate(args) => done(generate::run(args)),
        Command::E2e(args) => runtime()?.block_on(e2e::run(&config, *args)),
        Command::Demo(args) => runtime()?.block_on(demo::run(&config, args)),
        Command::Template(args) => done(template::run(args)),
        Command::Lab(Lab::Flintlock(args)) => done(runtime()?.block_on(lab::run(args))),
        Command::Lab(Lab::Fault(command)) => done(runtime()?.block_on(lab::fault::run(&config, command))),
        Command::Lab(Lab::Fleet(args)) => runtime()?.block_on(fleet::run(&config, *args)),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut for_people(), "capstead", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man { dir } => {
            std::fs::create_dir_all(&dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
            done(clap_mangen::generate_to(Cli::command(), &dir).with_context(|| format!("cannot write man pages into {}", dir.display())))
        }
    }
}

/// The command line without what is hidden, which completion scripts would offer.
fn for_people() -> clap::Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    clap::Command::new("capstead").version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true).subcommands(shown)
}

/// One thread is enough, and keeps the supervisor small.
fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")
}

/// The folder of the plane that is meant.
fn layout(config: &Config, which: &Which) -> anyhow::Result<Layout> {
    Ok(Layout::new(&config.data_dir(which.data_dir.as_ref()), &config.name(which))?)
}
