//! Leader election on a `coordination.k8s.io/v1` Lease, by the rules of client-go.
//!
//! Clocks of different machines are never compared: a candidate waits for the lease's duration from when *it* saw the record change.
//! Every write names the resource version it relies on. So there are never two leaders as long as clocks run at about the same rate
//! and a process ends when it has [`Leadership::lost`].

mod candidate;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::Client;
use kube::api::ObjectMeta;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio::time::sleep_until;
use tokio::time::timeout_at;
use tracing::debug;
use tracing::info;
use tracing::warn;
use uuid::Uuid;

use crate::metrics::Metrics;

use candidate::Candidate;
use candidate::Record;
use candidate::Step;

/// What is campaigned for, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// Who this process is; must be unique.
    pub identity: String,
    /// How long others wait after the last sign of the leader; whole seconds.
    pub lease_duration: Duration,
    /// After so long without a renewal the leader gives up. Shorter than `lease_duration`.
    pub renew_deadline: Duration,
    /// The time between tries. Shorter than `renew_deadline`.
    pub retry_period: Duration,
}

/// Why there can be no election.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// The durations are not in order.
    #[error(
        "lease duration {lease_duration:?} must be whole seconds and longer than renew deadline {renew_deadline:?}, and that longer than retry period {retry_period:?}, which must not be zero"
    )]
    Durations {
        /// As given.
        lease_duration: Duration,
        /// As given.
        renew_deadline: Duration,
        /// As given.
        retry_period: Duration,
    },
    /// There is no one to be.
    #[error("identity, name and namespace must not be empty")]
    Empty,
}

impl Election {
    /// With the usual durations (15 s, 10 s, 2 s) and an identity of host name and a random UUID.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: format!("{host}_{}", Uuid::new_v4()),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    fn check(&self) -> Result<(), ElectionError> {
        let Self { lease_duration, renew_deadline, retry_period, .. } = *self;
        let ordered = !retry_period.is_zero() && retry_period < renew_deadline && renew_deadline < lease_duration;
        if !ordered || lease_duration.subsec_nanos() != 0 || i32::try_from(lease_duration.as_secs()).is_err() {
            return Err(ElectionError::Durations { lease_duration, renew_deadline, retry_period });
        }
        if self.identity.is_empty() || self.name.is_empty() || self.namespace.is_empty() {
            return Err(ElectionError::Empty);
        }
        Ok(())
    }
}

/// The lease is held, until [`Leadership::lost`] returns.
///
/// Dropping it stops the renewal without giving the lease up; others take over when it runs out.
#[derive(Debug)]
pub struct Leadership {
    lost: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Leadership {
    /// Campaigns until this process holds the lease. Trouble with the API server is logged and tried through.
    ///
    /// # Errors
    /// When the election makes no sense; nothing was asked of the API server then.
    pub async fn acquire(client: Client, election: Election, metrics: &Metrics) -> Result<Self, ElectionError> {
        election.check()?;
        metrics.leading(&election.name, false);
        let mut campaign = Campaign {
            api: Api::namespaced(client, &election.namespace),
            candidate: Candidate::new(&election),
            transitions: 0,
            acquired: None,
            election,
        };
        info!(lease = campaign.election.name, identity = campaign.election.identity, "waiting for leadership");
        loop {
            campaign.round(Instant::now() + campaign.election.renew_deadline).await;
            if campaign.candidate.leads(Instant::now().into_std()) {
                break;
            }
            tokio::time::sleep(campaign.election.retry_period).await;
        }
        info!(lease = campaign.election.name, "leading");
        metrics.leading(&campaign.election.name, true);
        let (lost_sender, lost) = watch::channel(false);
        let (stop, stopped) = watch::channel(false);
        let metrics = metrics.clone();
        let task = tokio::spawn(async move {
            let name = campaign.election.name.clone();
            campaign.lead(stopped, &lost_sender).await;
            metrics.leading(&name, false);
        });
        Ok(Self { lost, stop, task })
    }

    /// Returns when the lease is lost, within the renew deadline even if the API server hangs.
    /// The process must end then, at once: another may lead soon.
    pub async fn lost(&self) {
        // The sender goes away only with the task, and then nobody renews.
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }

    /// Gives the lease up so that another can lead at once. All work that leadership guards must have ended.
    /// It tries once, for as long as the renew deadline.
    pub async fn release(mut self) {
        self.stop.send_replace(true);
        // A task that panicked holds nothing.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A candidate and the API server.
struct Campaign {
    api: Api<Lease>,
    candidate: Candidate,
    election: Election,
    transitions: i32,
    acquired: Option<MicroTime>,
}

impl Campaign {
    /// Renews until stopped or lost.
    async fn lead(mut self, mut stopped: watch::Receiver<bool>, lost: &watch::Sender<bool>) {
        let mut next = Instant::now() + self.election.retry_period;
        // The end of what the last answered renewal gave, whatever hangs meanwhile.
        while let Some(deadline) = self.candidate.leads_until().map(Instant::from_std) {
            tokio::select! {
                biased;
                () = sleep_until(deadline) => break,
                () = asked(&mut stopped) => return self.release(deadline).await,
                () = sleep_until(next) => {}
            }
            let begun = Instant::now();
            self.round(deadline).await;
            next = begun + self.election.retry_period;
            if !self.candidate.leads(Instant::now().into_std()) {
                break;
            }
        }
        warn!(lease = self.election.name, "leadership is lost");
        lost.send_replace(true);
    }

    /// One look at the lease and what follows from it, before `deadline`.
    async fn round(&mut self, deadline: Instant) {
        match timeout_at(deadline, self.turn()).await {
            Ok(Ok(())) => {}
            // Another candidate was faster; the next round sees what it did.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => debug!(lease = self.election.name, "another wrote the lease"),
            Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, lease = self.election.name, "cannot use the lease"),
            Err(_) => warn!(lease = self.election.name, "the API server did not answer in time"),
        }
    }

    async fn turn(&mut self) -> Result<(), kube::Error> {
        let found = self.api.get_opt(&self.election.name).await?;
        let record = found.as_ref().map(record);
        let seen = Instant::now().into_std();
        self.candidate.observe(record, seen);
        let step = self.candidate.decide(seen);
        let lease = found.unwrap_or_default();
        match step {
            Step::Wait => return Ok(()),
            Step::Take | Step::Renew => {}
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        self.transitions = spec.lease_transitions.unwrap_or_default();
        if step == Step::Take {
            // As client-go: a lease given up or taken over changes hands; a new one does not.
            self.transitions = if lease.metadata.name.is_some() { self.transitions.saturating_add(1) } else { 0 };
            self.acquired = Some(now.clone());
        }
        let begun = Instant::now().into_std();
        let spec = LeaseSpec {
            holder_identity: Some(self.election.identity.clone()),
            lease_duration_seconds: i32::try_from(self.election.lease_duration.as_secs()).ok(),
            acquire_time: self.acquired.clone().or(spec.acquire_time),
            renew_time: Some(now),
            lease_transitions: Some(self.transitions),
            ..LeaseSpec::default()
        };
        self.write(lease.metadata, spec, begun).await
    }

    async fn write(&mut self, metadata: ObjectMeta, spec: LeaseSpec, begun: std::time::Instant) -> Result<(), kube::Error> {
        let parameters = PostParams::default();
        let written = if metadata.resource_version.is_some() {
            self.api.replace(&self.election.name, &parameters, &Lease { metadata, spec: Some(spec) }).await?
        } else {
            let metadata = ObjectMeta { name: Some(self.election.name.clone()), ..ObjectMeta::default() };
            self.api.create(&parameters, &Lease { metadata, spec: Some(spec) }).await?
        };
        self.candidate.written(record(&written), begun);
        Ok(())
    }

    async fn release(mut self, deadline: Instant) {
        let give_up = async {
            let Some(lease) = self.api.get_opt(&self.election.name).await? else { return Ok(()) };
            if record(&lease).holder != self.election.identity {
                return Ok(());
            }
            let now = MicroTime(Timestamp::now());
            let spec = LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(1),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                ..lease.spec.unwrap_or_default()
            };
            let lease = Lease { metadata: lease.metadata, spec: Some(spec) };
            self.api.replace(&self.election.name, &PostParams::default(), &lease).await.map(|_| ())
        };
        match timeout_at(deadline, give_up).await {
            Ok(Ok(())) => info!(lease = self.election.name, "leadership is given up"),
            Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, lease = self.election.name, "the lease must run out"),
            Err(_) => warn!(lease = self.election.name, "the lease must run out: the API server did not answer in time"),
        }
        self.candidate.stop();
    }
}

/// Returns when told to stop, and never if nobody can tell any more.
async fn asked(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        duration: Duration::from_secs(seconds.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
