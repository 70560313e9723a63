//! A fleet's run: applied, watched until it is available, then churned or left alone as asked.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::watcher::Event;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::churn;
use super::churn::Action;
use super::record::Kind;
use super::record::Record;
use super::report::Asked;
use super::report::Churned;
use super::report::PerCluster;
use super::report::Report;
use super::report::Sample;
use super::report::Settled;
use super::stages;
use super::usage::Counters;
use super::usage::Meter;
use super::view;
use super::world;
use super::world::Seen;
use crate::cli::Fleet;
use crate::commands::generate;
use crate::commands::live::Live;
use crate::commands::simulated::PROVIDER;
use crate::commands::simulated::Simulated;
use crate::commands::simulated::plain_client;

/// Between looks at the clock.
const TICK: Duration = Duration::from_millis(500);
/// Between samples, in seconds.
const SAMPLE: f64 = 2.0;
/// The same of a fleet that is left alone: a look costs the manager something, too.
const SELDOM: f64 = 15.0;
/// Between lines where there is no terminal.
const LINE: f64 = 5.0;
/// More samples than this are thinned out.
const SAMPLES: usize = 4000;
/// Without a write for so long, a fleet counts as settled.
const QUIET: Duration = Duration::from_secs(5);
/// It is left alone after so long at the latest.
const UNQUIET: Duration = Duration::from_secs(180);

struct Run<'a> {
    asked: Asked,
    client: Client,
    meter: Meter,
    live: &'a mut Live,
    began: Instant,
    timeout: Duration,
    events: BoxStream<'static, Seen>,
    applying: JoinSet<anyhow::Result<()>>,
    /// One for each cluster more that may come up now.
    turns: Arc<Semaphore>,
    /// How many were given back.
    returned: usize,
    record: Record,
    samples: Vec<Sample>,
    /// Between samples, in seconds.
    every: f64,
    /// What is going on, for who looks on.
    doing: &'static str,
    /// When a line was printed last.
    told: f64,
}

/// Makes and measures a fleet on a plane that is ready.
pub async fn run(args: &Fleet, simulated: &Simulated, live: &mut Live) -> anyhow::Result<Report> {
    let asked = asked(args);
    let client = simulated.api.clone();
    let objects = |n: usize| {
        let endpoint = simulated.endpoint(n).context("the simulated hosts have no more addresses")?;
        generate::objects(&simulated.cluster(&world::name(n), world::NAMESPACE, &endpoint, asked.control_plane, asked.workers))
    };
    let clusters = (1..=asked.clusters).map(objects).collect::<anyhow::Result<Vec<_>>>()?;
    let diagnostics = simulated.plane.port(PROVIDER, "diagnostics").context("the manager serves no metrics")?;
    let meter = Meter::new(&simulated.status, plain_client(diagnostics)?, simulated.lab.clone());
    world::make_namespace(&client, Instant::now() + args.timeout).await?;

    let began_at = Timestamp::now().to_string();
    let before = meter.read().await;
    let events = world::watch(&client);
    let mut run = Run {
        asked: asked.clone(),
        client: client.clone(),
        meter,
        live,
        began: Instant::now(),
        timeout: args.timeout,
        events,
        applying: JoinSet::new(),
        turns: Arc::new(Semaphore::new(usize::from(args.concurrency))),
        returned: 0,
        record: Record::default(),
        samples: vec![Sample::new(0.0, Default::default(), &before)],
        every: SAMPLE,
        doing: "coming up",
        told: 0.0,
    };
    run.applying.spawn(world::apply(client, clusters, Arc::clone(&run.turns), run.began + args.timeout));
    let mut available = run.available().await?;
    let seconds = available.then(|| run.now());
    let used = run.sample().await.since(&before);
    let (clusters, machines) = (stages::clusters(&run.record), stages::machines(&run.record));

    let mut churned = None;
    if let (Some(churn), Some(long)) = (args.churn.filter(|_| available), args.churn_for) {
        let done = run.churn(churn::plan(churn, long, asked.clusters, asked.workers, asked.seed), long).await?;
        available = done.recovered_after.is_some();
        churned = Some(done);
    }
    let settled = match args.settle.filter(|_| available) {
        Some(long) => Some(run.settle(long).await?),
        None => None,
    };
    Ok(Report {
        version: concat!("v", env!("CARGO_PKG_VERSION")),
        began: began_at,
        available,
        seconds,
        tally: run.record.tally(),
        stuck: run.record.stuck(run.now()),
        clusters,
        machines,
        per_cluster: PerCluster::of(&used, before.total(true).memory_bytes, asked.clusters),
        used,
        churn: churned,
        settled,
        samples: run.samples,
        asked,
    })
}

fn asked(args: &Fleet) -> Asked {
    Asked {
        clusters: usize::from(args.clusters),
        control_plane: args.control_plane,
        workers: args.workers,
        hosts: args.hosts,
        concurrency: args.concurrency,
        boot_seconds: args.boot_delay.as_secs_f64(),
        kubeadm_seconds: args.kubeadm_delay.as_secs_f64(),
        seed: args.seed,
    }
}

impl Run<'_> {
    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Waits until everything that is asked for is there and available, and nothing else.
    async fn available(&mut self) -> anyhow::Result<bool> {
        let Asked { clusters, .. } = self.asked;
        let machines = self.asked.machines();
        let done = move |record: &Record| {
            let tally = record.tally();
            (tally.clusters, tally.clusters_available, tally.machines, tally.available) == (clusters, clusters, machines, machines)
        };
        self.until(Instant::now() + self.timeout, done).await
    }

    /// Lets things happen until it is so, or the time is over; tells which.
    async fn until(&mut self, deadline: Instant, done: impl Fn(&Record) -> bool) -> anyhow::Result<bool> {
        let mut ticks = tokio::time::interval(TICK);
        while !done(&self.record) {
            tokio::select! {
                event = self.events.next() => self.take(event.context("the watches of the plane have ended")?),
                Some(applied) = self.applying.join_next() => applied.context("a task failed")??,
                _ = ticks.tick() => self.tick().await,
                () = tokio::time::sleep_until(deadline) => return Ok(done(&self.record)),
            }
        }
        Ok(true)
    }

    fn take(&mut self, (kind, event): Seen) {
        let now = self.now();
        match event {
            Ok(Event::Init) => self.record.begins(kind),
            Ok(Event::InitDone) => self.record.ends(kind, now),
            Ok(Event::Apply(object) | Event::InitApply(object)) => match serde_json::to_value(object) {
                Ok(object) => self.record.saw(kind, &object, now),
                Err(error) => tracing::warn!(%error, "an object is not JSON"),
            },
            Ok(Event::Delete(object)) => self.record.gone(kind, object.metadata.name.as_deref().unwrap_or_default(), now),
            // It begins anew by itself.
            Err(error) => tracing::debug!(%error, "a watch was broken off"),
        }
    }

    async fn tick(&mut self) {
        let now = self.now();
        let done = self.record.clusters.values().filter(|cluster| cluster.available.is_some()).count();
        self.turns.add_permits(done.saturating_sub(self.returned));
        self.returned = done.max(self.returned);
        if self.samples.last().is_none_or(|last| now - last.seconds >= self.every) {
            self.sample().await;
        }
        if self.live.is_terminal() {
            let sample = self.samples.last().cloned().unwrap_or_default();
            self.live.show(&view::lines(&self.asked, &self.record, &sample, self.doing, now));
        } else if now - self.told >= LINE {
            eprintln!("{}", view::line(&self.asked, &self.record, self.doing, now));
            self.told = now;
        }
    }

    async fn sample(&mut self) -> Counters {
        let counters = self.meter.read().await;
        self.samples.push(Sample::new(self.now(), self.record.tally(), &counters));
        if self.samples.len() > SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        counters
    }

    async fn churn(&mut self, plan: Vec<(Duration, Action)>, long: Duration) -> anyhow::Result<Churned> {
        self.doing = "churning";
        let before = self.sample().await;
        let begin = Instant::now();
        let since = self.now();
        let mut churned = Churned { seconds: long.as_secs_f64(), ..Churned::default() };
        for (after, action) in plan {
            self.until(begin + after, |_| false).await?;
            match action {
                Action::Scale { cluster, workers } => {
                    world::scale(&self.client, &world::name(cluster), workers).await?;
                    churned.scaled += 1;
                }
                Action::Delete { draw } => {
                    let workers = self.record.workers();
                    let Some(machine) = usize::try_from(draw).ok().and_then(|draw| workers.get(draw.checked_rem(workers.len())?)) else {
                        continue;
                    };
                    world::delete(&self.client, machine).await?;
                    churned.deleted += 1;
                }
            }
        }
        self.until(begin + long, |_| false).await?;
        self.doing = "recovering";
        for n in 1..=self.asked.clusters {
            world::scale(&self.client, &world::name(n), self.asked.workers).await?;
        }
        let ended = self.now();
        churned.recovered_after = self.available().await?.then(|| self.now() - ended);
        let came = |at: Option<f64>| at.is_some_and(|at| at > since);
        churned.machines_made = self.record.machines.values().filter(|machine| came(machine.created)).count();
        churned.machines_gone = self.record.machines.values().filter(|machine| came(machine.gone)).count();
        churned.used = self.sample().await.since(&before);
        Ok(churned)
    }

    async fn settle(&mut self, long: Duration) -> anyhow::Result<Settled> {
        self.doing = "settling";
        let began = self.now();
        let latest = Instant::now() + UNQUIET;
        let mut known = self.written().await;
        let mut since = Instant::now();
        while since.elapsed() < QUIET && Instant::now() < latest {
            self.until(Instant::now() + TICK, |_| false).await?;
            let now = self.written().await;
            if now != known {
                (known, since) = (now, Instant::now());
            }
        }
        let after = self.now() - began;
        (self.doing, self.every) = ("left alone", SELDOM);
        // Asking the clusters costs their hosts something, so it is done outside of what is measured.
        let inside = world::revisions(&self.client, self.asked.clusters).await;
        let (before, changes, start) = (self.sample().await, self.record.changes.clone(), Instant::now());
        self.until(start + long, |_| false).await?;
        let used = self.sample().await.since(&before);
        let seconds = start.elapsed().as_secs_f64();
        // A process that is not the one it was has counted nothing, which is no proof.
        let counted = used.processes.iter().all(|process| process.memory_bytes > 0) && !used.requests.is_empty();
        anyhow::ensure!(counted, "a process of the plane has ended, or does not tell what it counts");
        let change = |kind: Kind| {
            let of = |changes: &std::collections::BTreeMap<Kind, u64>| changes.get(&kind).copied().unwrap_or_default();
            (kind.names().1, of(&self.record.changes) - of(&changes))
        };
        let changes = Kind::ALL.map(change).into();
        let inside = world::revisions(&self.client, self.asked.clusters).await.zip(inside);
        let workload_changes = inside.map(|(now, before)| now.saturating_sub(before));
        let writes = used.writes() + used.requests.get("POST").copied().unwrap_or_default();
        Ok(Settled { seconds, after, writes, changes, workload_changes, used })
    }

    /// Whatever our manager has written, and whatever has changed of what is watched.
    async fn written(&self) -> (u64, u64) {
        let counters = self.meter.read().await;
        let events = counters.requests.get("POST").copied().unwrap_or_default();
        (counters.writes() + events, self.record.changes.values().sum())
    }
}
