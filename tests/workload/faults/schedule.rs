//! Faults at random: what comes when is drawn before, so that a seed repeats it.

use std::time::Duration;

use capstead_lab::fault::Fault;
use capstead_lab::fault::Kind;
use jiff::SignedDuration;

use super::fleet::Fleet;
use crate::support::random::Random;
use crate::support::within;

/// Some faults in one cluster, one after the other or at the same time.
#[derive(Debug)]
pub struct Schedule {
    number: usize,
    cluster: String,
    /// With the workers that are wanted when it begins.
    faults: Vec<(Fault, u64)>,
}

/// At random, but each cluster has as many as another.
pub fn draw(random: &mut Random, clusters: &[&str], count: usize) -> Vec<Schedule> {
    let first = usize::try_from(random.below(clusters.len() as u64)).unwrap();
    let one = |number: usize| {
        let faults = (0..=random.below(3)).map(|_| (fault(random), 1 + random.below(3))).collect();
        Schedule { number: number + 1, cluster: clusters[(first + number) % clusters.len()].to_owned(), faults }
    };
    (0..count).map(one).collect()
}

fn fault(random: &mut Random) -> Fault {
    let kind = Kind::ALL[usize::try_from(random.below(Kind::ALL.len() as u64)).unwrap()];
    let by = match kind {
        Kind::ApiSlow => Some(SignedDuration::from_millis(i64::try_from(500 + random.below(20_000)).unwrap())),
        Kind::ClockSkew if random.below(2) == 0 => Some(SignedDuration::from_mins(90)),
        Kind::ClockSkew => Some(SignedDuration::from_mins(-90)),
        _ => None,
    };
    let rate = if kind.of_machines() && random.below(2) == 0 { 0.5 } else { 1.0 };
    let lasting = SignedDuration::from_secs(i64::try_from(5 + random.below(40)).unwrap());
    Fault { by, rate, lasting: Some(lasting), ..Fault::new(kind) }
}

impl Schedule {
    /// All of it happens, and then the cluster is available again.
    pub fn plays(&self, fleet: &Fleet) {
        for (fault, workers) in &self.faults {
            fleet.scale(&self.cluster, *workers);
            fleet.suffers(&self.cluster, fault.clone());
        }
        within(Duration::from_secs(120), "the faults end by themselves", || {
            if fleet.is_troubled(&self.cluster) { Err(format!("{self:?}")) } else { Ok(()) }
        });
        fleet.is_available(&self.cluster);
        let told: Vec<String> = self.faults.iter().map(|(fault, workers)| format!("{} with {workers} workers", fault.kind)).collect();
        eprintln!("{:6.1} s: schedule {}, {}: {}", fleet.seconds(), self.number, self.cluster, told.join(", "));
    }
}
