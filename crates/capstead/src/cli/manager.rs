//! The flags of `capstead manager`, named as users of other providers know them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::ValueEnum;

/// `capstead manager`.
#[derive(Debug, Args)]
pub struct Manager {
    /// The infrastructure provider to run
    #[arg(long, value_name = "PROVIDER")]
    pub provider: ProviderName,
    /// The kubeconfig [default: as kubectl finds it, else the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Handle only objects of this namespace
    #[arg(long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Handle only objects whose label cluster.x-k8s.io/watch-filter has this value
    #[arg(long, default_value = "", hide_default_value = true, value_name = "VALUE")]
    pub watch_filter: String,
    /// How many machines are looked at at once
    #[arg(long, alias = "microvmmachine-concurrency", default_value = "50", value_name = "N")]
    pub machine_concurrency: NonZeroUsize,
    /// How many clusters are looked at at once
    #[arg(long, alias = "microvmcluster-concurrency", default_value = "10", value_name = "N")]
    pub cluster_concurrency: NonZeroUsize,
    /// Requests to the API server in a second, events apart
    #[arg(long, default_value = "100", value_name = "N")]
    pub kube_api_qps: NonZeroU32,
    /// Requests to the API server at once, events apart
    #[arg(long, default_value = "200", value_name = "N")]
    pub kube_api_burst: NonZeroU32,
    /// How often every object is looked at although nothing was heard of it
    #[arg(long, default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub sync_period: Duration,
    /// Where /healthz and /readyz are served; 0 for nowhere
    #[arg(long, default_value = ":9440", value_name = "ADDRESS")]
    pub health_addr: String,
    /// Where /metrics is served, with TLS, authentication and authorization; 0 for nowhere
    #[arg(long, default_value = ":8443", value_name = "ADDRESS")]
    pub diagnostics_address: String,
    /// Serve /metrics in plain HTTP, to anybody
    #[arg(long)]
    pub insecure_diagnostics: bool,
    /// The port of the webhook server, on all addresses
    #[arg(long, default_value_t = 9443, value_name = "PORT", conflicts_with = "webhook_address")]
    pub webhook_port: u16,
    /// The address of the webhook server, where it shall not listen on all
    #[arg(long, value_name = "ADDRESS")]
    pub webhook_address: Option<SocketAddr>,
    /// A folder with tls.crt and tls.key for the webhook server [default: made here, kept in a Secret, and made known to the API server]
    #[arg(long, value_name = "DIR")]
    pub webhook_cert_dir: Option<PathBuf>,
    /// Act only while holding a Lease, so that of several managers one acts
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// How long others wait for a leader that is silent
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub leader_elect_lease_duration: Duration,
    /// How long a leader tries to renew before it gives up
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub leader_elect_renew_deadline: Duration,
    /// How often the Lease is looked at
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "DURATION")]
    pub leader_elect_retry_period: Duration,
    /// The namespace of the Lease [default: the manager's own]
    #[arg(long, value_name = "NAMESPACE")]
    pub leader_election_namespace: Option<String>,
    /// The form of the log, on stderr
    #[arg(long, alias = "logging-format", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// How much is logged: 0 what happens, 2 what is decided, 9 everything
    #[arg(short, long, default_value_t = 0, value_name = "LEVEL")]
    pub v: u8,
}

/// Capstead's own providers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProviderName {
    /// MicroVMs on hosts that speak the flintlock protocol
    Microvm,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// A duration such as `300ms`, `15s` or `1h30m`.
///
/// # Errors
/// When it is none, or negative.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|parsed| Duration::try_from(parsed).ok());
    parsed.ok_or_else(|| format!("`{text}` is no duration such as 300ms, 15s or 1h30m"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::Manager;
    use super::duration;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        manager: Manager,
    }

    #[test]
    fn upstreams_flags_are_taken_with_upstreams_defaults() {
        let parse = |flags: &[&str]| Alone::try_parse_from([&["manager", "--provider=microvm"], flags].concat()).map(|alone| alone.manager);
        let Manager { leader_elect, leader_elect_lease_duration, leader_elect_renew_deadline, leader_elect_retry_period, .. } =
            parse(&[]).unwrap();
        assert!(!leader_elect);
        let seconds = [leader_elect_lease_duration, leader_elect_renew_deadline, leader_elect_retry_period].map(|wait| wait.as_secs());
        assert_eq!(seconds, [15, 10, 2]);
        let plain = parse(&[]).unwrap();
        assert_eq!((plain.webhook_port, plain.health_addr.as_str(), plain.diagnostics_address.as_str()), (9443, ":9440", ":8443"));
        assert_eq!((plain.sync_period, plain.watch_filter.as_str()), (Duration::from_secs(600), ""));
        let flags = [
            "--leader-elect",
            "--leader-elect-lease-duration=20s",
            "--leader-election-namespace=system",
            "--namespace=team",
            "--watch-filter=mine",
            "--microvmcluster-concurrency=3",
            "--microvmmachine-concurrency=4",
            "--sync-period=1h",
            "--webhook-port=9444",
            "--webhook-cert-dir=/certs",
            "--health-addr=:9441",
            "--diagnostics-address=:8444",
            "--insecure-diagnostics",
            "--logging-format=json",
            "--kubeconfig=/kube",
            "-v=2",
        ];
        let set = parse(&flags).unwrap();
        assert_eq!((set.cluster_concurrency.get(), set.machine_concurrency.get()), (3, 4));
        assert_eq!((set.leader_elect, set.leader_elect_lease_duration.as_secs(), set.v), (true, 20, 2));
        assert_eq!((set.namespace.as_deref(), set.watch_filter.as_str()), (Some("team"), "mine"));
    }

    #[test]
    fn durations_are_written_as_users_write_them() {
        let cases = [("300ms", 300), ("15s", 15_000), ("1h30m", 5_400_000), ("1.5s", 1500), ("0s", 0)];
        for (text, millis) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5", "5x", "-1s", "1..s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
