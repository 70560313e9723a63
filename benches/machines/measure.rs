//! What the manager took, read from its own metrics, from /proc and from the simulated hosts.

use std::collections::HashMap;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use capstead_lab::flintlock::Simulator;
use serde_json::Value;

use crate::Outcome;

/// The calls of the protocol.
pub const CALLS: [&str; 4] = ["CreateMicroVM", "GetMicroVM", "ListMicroVMs", "DeleteMicroVM"];

/// What was taken, or the state of all counters.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub seconds: f64,
    /// From the last owner reference to the last machine's being provisioned.
    pub lag: f64,
    pub writes: f64,
    pub reads: f64,
    pub events: f64,
    pub calls: [f64; 4],
    pub bytes: f64,
    pub cpu: f64,
    pub peak: f64,
}

/// How long something took as a whole, and after the last owner reference; and when each machine was done.
#[derive(Clone, Debug)]
pub struct Times {
    pub all: Duration,
    pub lag: Option<Duration>,
    pub ended: HashMap<String, Instant>,
}

impl Figures {
    pub fn since(&self, before: &Self, times: &Times) -> Self {
        let mut calls = self.calls;
        calls.iter_mut().zip(before.calls).for_each(|(now, before)| *now -= before);
        Self {
            seconds: times.all.as_secs_f64(),
            lag: times.lag.map_or(f64::NAN, |lag| lag.as_secs_f64()),
            writes: self.writes - before.writes,
            reads: self.reads - before.reads,
            events: self.events - before.events,
            calls,
            bytes: self.bytes - before.bytes,
            cpu: self.cpu - before.cpu,
            peak: self.peak,
        }
    }
}

/// The manager's process.
#[derive(Debug)]
pub struct Manager {
    pid: u64,
    port: u16,
}

impl Manager {
    /// The component of a plane's status.
    pub fn of(status: &Value) -> Outcome<Self> {
        let components = status["components"].as_array().ok_or("no components")?;
        let manager = components.iter().find(|component| component["name"] == "capstead-microvm").ok_or("no manager")?;
        let ports = manager["ports"].as_array().ok_or("no ports")?;
        let port = ports.iter().find(|port| port["name"] == "diagnostics").and_then(|port| port["port"].as_u64()).ok_or("no port")?;
        Ok(Self { pid: manager["pid"].as_u64().ok_or("no pid")?, port: u16::try_from(port)? })
    }

    pub fn figures(&self, simulator: &Simulator) -> Outcome<Figures> {
        let own = self.metrics()?;
        let hosts = simulator.metrics()?;
        let requests = |method: &str| sum(&own, "rest_client_requests_total{", &[&format!("method=\"{method}\"")]);
        let mut calls = [0.0; 4];
        for (calls, call) in calls.iter_mut().zip(CALLS) {
            *calls = sum(&hosts, "capstead_lab_flintlock_calls_total{", &[&format!("method=\"{call}\"")]);
        }
        Ok(Figures {
            writes: requests("PATCH") + requests("PUT"),
            reads: requests("GET"),
            // The manager makes nothing but events.
            events: requests("POST"),
            calls,
            bytes: sum(&hosts, "capstead_lab_flintlock_response_bytes_total{", &[]),
            cpu: sum(&own, "process_cpu_seconds_total", &[]),
            peak: self.peak()?,
            ..Figures::default()
        })
    }

    /// The figures once the last event was sent, so that all of the work is counted.
    pub async fn at_rest(&self, simulator: &Simulator) -> Outcome<Figures> {
        let mut before = self.figures(simulator)?;
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let now = self.figures(simulator)?;
            if now.events == before.events && now.writes == before.writes {
                return Ok(now);
            }
            before = now;
        }
    }

    fn metrics(&self) -> Outcome<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        connection.read_to_string(&mut text)?;
        Ok(text)
    }

    fn peak(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no peak")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1024.0)
    }
}

/// The sum of all values of a metric whose labels hold each of these texts.
fn sum(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}
