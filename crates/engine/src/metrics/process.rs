//! What Linux tells about this process, read when asked.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeMetric;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The standard `process_*` metrics; one that cannot be read is left out.
#[derive(Debug)]
pub(super) struct Process;

/// What `/proc/self/stat` says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    /// After boot.
    started_seconds: f64,
    resident_bytes: u64,
}

/// Parses `/proc/self/stat` (proc(5)): `utime`, `stime`, `starttime` and `rss` are fields 14, 15, 22 and 24.
fn parse_stat(text: &str, ticks_per_second: u64, page: u64) -> Option<Stat> {
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    let rest = text.rsplit_once(')')?.1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let seconds = |ticks: u64| ticks as f64 / ticks_per_second as f64;
    Some(Stat { cpu_seconds: seconds(field(14)? + field(15)?), started_seconds: seconds(field(22)?), resident_bytes: field(24)? * page })
}

/// The time of boot in seconds since 1970, from `/proc/stat`.
fn parse_boot(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|seconds| seconds.trim().parse().ok())
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: f64| {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let stat = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| parse_stat(&text, rustix::param::clock_ticks_per_second(), rustix::param::page_size() as u64));
        let boot = fs::read_to_string("/proc/stat").ok().and_then(|text| parse_boot(&text));
        if let (Some(stat), Some(boot)) = (stat, boot) {
            gauge("process_start_time_seconds", "Start time of the process since 1970", boot + stat.started_seconds)?;
        }
        if let Some(stat) = stat {
            gauge("process_resident_memory_bytes", "Resident memory", stat.resident_bytes as f64)?;
        }
        // One of them is the listing's own.
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            gauge("process_open_fds", "Open file descriptors", open.count().saturating_sub(1) as f64)?;
        }
        if let Some(stat) = stat {
            let metric = ConstCounter::new(stat.cpu_seconds);
            let help = "User and system CPU time";
            metric.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Stat;
    use super::parse_boot;
    use super::parse_stat;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_shifts_nothing() {
        let line = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 150 13 14 15 16 17 18 4200 20 300 22 23";
        assert_eq!(parse_stat(line, 100, 4096), Some(Stat { cpu_seconds: 4.0, started_seconds: 42.0, resident_bytes: 300 * 4096 }));
        assert_eq!(parse_stat("7 (a) S 1", 100, 4096), None);
        assert_eq!(parse_boot("cpu 1\nbtime 1700000000\n"), Some(1_700_000_000.0));
    }
}
