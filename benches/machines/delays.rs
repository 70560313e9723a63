//! How long after its microVM a machine is done, where microVMs take their time.

use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_lab::flintlock::Options;
use capstead_lab::flintlock::Settings;
use capstead_lab::flintlock::Simulator;

use crate::HOSTS;
use crate::Outcome;
use crate::fleet::Fleet;

const MACHINES: usize = 10;
/// From create to `CREATED`, and from delete to gone.
const DELAY: Duration = Duration::from_secs(3);
/// Between looks at the simulated hosts: how exact the figures are.
const LOOK: Duration = Duration::from_millis(5);

pub async fn print(kubeconfig: &str) -> Outcome<()> {
    let settings = Settings { boot_delay: DELAY, delete_delay: DELAY, ..Settings::default() };
    let simulator = Simulator::start(Options { hosts: HOSTS, settings, ..Options::default() })?;
    let fleet = Fleet::begin(kubeconfig, &simulator.addresses(), MACHINES).await?;
    let (made, created) = tokio::try_join!(fleet.make(), reached(&simulator, true))?;
    let (deleted, gone) = tokio::try_join!(fleet.delete(), reached(&simulator, false))?;
    println!("\n{MACHINES} machines whose microVMs are PENDING and DELETING for {} s{:>12}{:>10}", DELAY.as_secs(), "median", "most");
    row("seconds from CREATED to a provisioned machine (upstream: 30)", &created, &made.ended);
    row("seconds from a microVM's end to its object's", &gone, &deleted.ended);
    Ok(())
}

fn row(what: &str, from: &HashMap<String, Instant>, to: &HashMap<String, Instant>) {
    let mut lags: Vec<f64> = from.iter().filter_map(|(name, from)| Some(to.get(name)?.duration_since(*from).as_secs_f64())).collect();
    lags.sort_unstable_by(f64::total_cmp);
    println!("  {what:<62}{:>10.2}{:>10.2}", lags.get(lags.len() / 2).unwrap_or(&f64::NAN), lags.last().unwrap_or(&f64::NAN));
}

/// When each microVM became `CREATED`, or was gone.
async fn reached(simulator: &Simulator, created: bool) -> Outcome<HashMap<String, Instant>> {
    let (mut known, mut reached) = (HashMap::new(), HashMap::new());
    while reached.len() < MACHINES {
        tokio::time::sleep(LOOK).await;
        let there: HashMap<String, MicroVmState> = simulator
            .hosts()
            .iter()
            .flat_map(|host| host.microvms())
            .map(|microvm| (microvm.spec.unwrap_or_default().id, microvm.status.unwrap_or_default().state()))
            .collect();
        let now = Instant::now();
        let ended: Vec<&String> = if created {
            there.iter().filter(|(_, state)| **state == MicroVmState::Created).map(|(name, _)| name).collect()
        } else {
            known.keys().filter(|name| !there.contains_key(*name)).collect()
        };
        for name in ended {
            reached.entry(name.clone()).or_insert(now);
        }
        known.extend(there);
    }
    Ok(reached)
}
