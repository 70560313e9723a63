//! Makes and deletes many standalone Machines on simulated hosts, and prints what that cost: time, calls to the hosts, writes to the API server, CPU and
//! memory of the manager, beside what upstream's manager took for the same (cluster-api-provider-microvm main of May 2026, measured once on a machine like this). Last, how long after a microVM its machine is done.
//!
//! `make bench` runs it for 100 and 1,000, with a release build; `MACHINES=50,200` chooses others, `CAPSTEAD=PATH` another build. Nothing is asserted: a figure is to be read, not to fail.

mod delays;
mod fleet;
mod measure;

use std::error::Error;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings;
use capstead_lab::flintlock::Simulator;

use fleet::Fleet;
use measure::Figures;
use measure::Manager;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Simulated hosts.
const HOSTS: usize = 2;

fn main() -> Outcome<()> {
    let counts = std::env::var("MACHINES").unwrap_or_else(|_| "100,1000".into());
    let counts = counts.split(',').map(|count| Ok(count.trim().parse()?)).collect::<Outcome<Vec<usize>>>()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for count in counts {
        // A fresh plane each time: an API server never gives memory back.
        let plane = Plane::up()?;
        let (made, deleted) = runtime.block_on(turn(&plane, count))?;
        print(count, &made, &deleted);
    }
    let plane = Plane::up()?;
    runtime.block_on(delays::print(&plane.kubeconfig()?))?;
    println!(
        "\none turn each; upstream with 100: made in 28.5 s by 5.1 writes, 1.0 creates and 1.1 other calls a machine, 18.2 ms of CPU a machine, 60 MB;"
    );
    println!("deleted in 25.1 s by 5.1 writes and 3.0 calls a machine, 16.6 ms a machine. Events are apart everywhere.");
    Ok(())
}

async fn turn(plane: &Plane, count: usize) -> Outcome<(Figures, Figures)> {
    let settings = Settings { boot_delay: Duration::ZERO, delete_delay: Duration::ZERO, ..Settings::default() };
    let simulator = Simulator::start(Options { hosts: HOSTS, settings, ..Options::default() })?;
    let manager = Manager::of(&plane.status()?)?;
    let fleet = Fleet::begin(&plane.kubeconfig()?, &simulator.addresses(), count).await?;
    let before = manager.figures(&simulator)?;
    let times = fleet.make().await?;
    let after = manager.at_rest(&simulator).await?;
    let made = after.since(&before, &times);
    let times = fleet.delete().await?;
    let deleted = manager.at_rest(&simulator).await?.since(&after, &times);
    if simulator.hosts().iter().any(|host| !host.microvms().is_empty()) {
        return Err("microVMs are left behind".into());
    }
    Ok((made, deleted))
}

fn print(count: usize, made: &Figures, deleted: &Figures) {
    println!("\n{count} machines on {HOSTS} hosts{:>41}{:>12}", "made", "deleted");
    let machines = count as f64;
    let row = |what: &str, made: f64, deleted: f64, digits: usize| println!("  {what:<52}{made:>10.digits$}{deleted:>12.digits$}");
    row("seconds from the first request to the last", made.seconds, deleted.seconds, 1);
    row("seconds from the last owner reference to the last", made.lag, f64::NAN, 2);
    row("writes a machine", made.writes / machines, deleted.writes / machines, 2);
    row("reads a machine", made.reads / machines, deleted.reads / machines, 2);
    row("events a machine", made.events / machines, deleted.events / machines, 2);
    for (n, call) in measure::CALLS.iter().enumerate() {
        row(&format!("{call} a machine"), made.calls[n] / machines, deleted.calls[n] / machines, 2);
    }
    row("KB from the hosts a machine", made.bytes / 1e3 / machines, deleted.bytes / 1e3 / machines, 1);
    row("ms of CPU a machine", made.cpu * 1e3 / machines, deleted.cpu * 1e3 / machines, 1);
    row("peak memory of the manager, MB", made.peak / 1e6, deleted.peak / 1e6, 1);
}

/// A plane with the provider, taken away when dropped.
struct Plane {
    dir: tempfile::TempDir,
}

impl Plane {
    fn up() -> Outcome<Self> {
        let plane = Self { dir: tempfile::tempdir()? };
        let up = plane.run(&["up", "--detach", "--provider", "microvm"]).stdout(Stdio::null()).status()?;
        if up.success() { Ok(plane) } else { Err("the plane did not come up; `capstead up` by hand tells more".into()) }
    }

    fn run(&self, args: &[&str]) -> Command {
        let mut command = Command::new(std::env::var("CAPSTEAD").unwrap_or_else(|_| env!("CARGO_BIN_EXE_capstead").into()));
        command.args(args).args(["--name", "bench"]).arg("--data-dir").arg(self.dir.path()).stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    }

    fn status(&self) -> Outcome<serde_json::Value> {
        Ok(serde_json::from_slice(&self.run(&["status", "--output", "json"]).output()?.stdout)?)
    }

    fn kubeconfig(&self) -> Outcome<String> {
        Ok(String::from_utf8(self.run(&["kubeconfig"]).output()?.stdout)?)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        let down = self.run(&["down", "--purge"]).stdout(Stdio::null()).status();
        if !down.is_ok_and(|status| status.success()) {
            eprintln!("the plane in {} was not taken down", self.dir.path().display());
        }
    }
}
