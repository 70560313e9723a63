//! The report as one page that needs nothing else.

use super::plot::Line;
use super::plot::Plot;
use super::plot::escape;
use super::record::Tally;
use super::report::Report;
use super::report::Sample;
use super::stages::Stage;
use crate::commands::simulated::HOSTS;
use crate::commands::simulated::PROVIDER;
use crate::output;

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn html(report: &Report) -> String {
    let asked = &report.asked;
    let mut body = format!("<h1>{}</h1>\n", escape(&report.headline()));
    body += &format!(
        "<p class=\"dim\">Capstead {}, {}; {} simulated hosts, microVMs boot in {} s, kubeadm comes {} s later, {} clusters come up at once. \
         Cluster API, its controllers and the API server are real; machines are simulated.</p>\n",
        report.version,
        escape(&report.began),
        asked.hosts,
        asked.boot_seconds,
        asked.kubeadm_seconds,
        asked.concurrency
    );
    body.extend(report.churn.as_ref().map(|churn| format!("<p>{}</p>\n", escape(&churn.sentence()))));
    body.extend(report.settled.as_ref().map(|settled| format!("<p>{}</p>\n", escape(&settled.sentence()))));
    if !report.stuck.is_empty() {
        let rows = report.stuck.iter().map(|stuck| {
            vec![stuck.cluster.clone(), format!("{:.0} s", stuck.seconds), stuck.why.reason.clone(), stuck.why.message.clone()]
        });
        body += &section("Not available", &["Cluster", "For", "Reason", "Message"], rows, true);
    }
    body += &stages("Clusters, from each one's creation", &report.clusters);
    body += &stages("Machines, from each one's creation", &report.machines);
    body += &costs(report);
    body += &processes(report);
    body += "<h2>How it went</h2>\n";
    for plot in plots(report) {
        body += &plot.figure();
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>A fleet of {} clusters</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        asked.clusters
    )
}

fn section(title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>, text: bool) -> String {
    let class = if text { " class=\"text\"" } else { "" };
    let cells = |tag: &str, cells: &[String]| {
        let cells: String = cells.iter().map(|cell| format!("<{tag}{class}>{}</{tag}>", escape(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head = cells("th", &head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>());
    let rows: String = rows.map(|row| cells("td", &row)).collect();
    format!("<h2>{}</h2>\n<div class=\"scroll\"><table>\n{head}{rows}</table></div>\n", escape(title))
}

fn stages(title: &str, stages: &[Stage]) -> String {
    let rows = stages.iter().map(|stage| {
        let seconds = [stage.p50, stage.p90, stage.p99, stage.max];
        let seconds = seconds.map(|seconds| if stage.count == 0 { "–".into() } else { format!("{seconds:.1} s") });
        [vec![stage.stage.to_owned(), stage.count.to_string()], seconds.into()].concat()
    });
    section(title, &["Stage", "Count", "p50", "p90", "p99", "Max"], rows, false)
}

fn costs(report: &Report) -> String {
    let each = &report.per_cluster;
    let rows = [
        ("Memory at its peak", output::bytes(each.peak_memory_bytes)),
        ("Memory that it grew by", output::bytes(each.grown_memory_bytes)),
        ("CPU", format!("{:.3} s", each.cpu_seconds)),
        ("Requests to the API server", format!("{:.1}", each.requests)),
        ("of them writes, without events", format!("{:.1}", each.writes)),
        ("Calls to hosts", format!("{:.1}", each.host_calls)),
    ];
    let rows = rows.into_iter().map(|(what, value)| vec![what.to_owned(), value]);
    section("What each cluster cost the manager and the simulated hosts", &["", ""], rows, false)
}

fn processes(report: &Report) -> String {
    let totals = [report.used.total(true), report.used.total(false)];
    let rows = report.used.processes.iter().chain(&totals).map(|process| {
        vec![
            process.name.clone(),
            output::bytes(process.memory_bytes),
            output::bytes(process.peak_memory_bytes),
            format!("{:.1} s", process.cpu_seconds),
        ]
    });
    section("Processes, until all were available", &["Process", "Resident memory", "Peak", "CPU"], rows, false)
}

fn plots(report: &Report) -> Vec<Plot> {
    let samples = &report.samples;
    let line = |name: &str, of: &dyn Fn(&Sample) -> f64| Line {
        name: name.into(),
        points: samples.iter().map(|sample| (sample.seconds, of(sample))).collect(),
    };
    let count = |name: &str, of: fn(&Tally) -> usize| line(name, &|sample| of(&sample.tally) as f64);
    let memory = |name: &str| line(name, &|sample| sample.memory_bytes.get(name).map_or(0.0, |bytes| *bytes as f64 / 1e6));
    let others = report.used.processes.iter().filter(|process| !process.ours).map(|process| memory(&process.name)).collect();
    let latency =
        |title, stages: &[Stage]| Plot { title, x: "seconds since each was made", y: "percent", lines: stages.iter().map(share).collect() };
    vec![
        Plot {
            title: "Machines over time",
            x: "seconds",
            y: "machines",
            lines: vec![
                count("made", |tally| tally.machines),
                count("microVM runs", |tally| tally.provisioned),
                count("node", |tally| tally.nodes),
                count("available", |tally| tally.available),
            ],
        },
        Plot {
            title: "Clusters over time",
            x: "seconds",
            y: "clusters",
            lines: vec![count("made", |tally| tally.clusters), count("available", |tally| tally.clusters_available)],
        },
        latency("Latency of machines by stage: how many have reached it", &report.machines),
        latency("Latency of clusters by stage: how many have reached it", &report.clusters),
        Plot { title: "Memory of our processes", x: "seconds", y: "MB", lines: vec![memory(PROVIDER), memory(HOSTS)] },
        Plot { title: "Memory of the plane's other processes", x: "seconds", y: "MB", lines: others },
        Plot {
            title: "CPU",
            x: "seconds",
            y: "cores",
            lines: vec![
                rate("our processes", samples, |sample| sample.our_cpu_seconds),
                rate("the plane's other processes", samples, |sample| sample.other_cpu_seconds),
            ],
        },
        Plot {
            title: "Requests of the manager",
            x: "seconds",
            y: "each second",
            lines: vec![
                rate("to the API server", samples, |sample| sample.requests as f64),
                rate("of them writes, without events", samples, |sample| sample.writes as f64),
                rate("to hosts", samples, |sample| sample.host_calls as f64),
            ],
        },
    ]
}

/// What share of all that have reached a stage had done so after how long.
fn share(stage: &Stage) -> Line {
    let reached = stage.seconds.iter().enumerate().map(|(n, seconds)| (*seconds, (n + 1) as f64 / stage.count as f64 * 100.0));
    Line { name: stage.stage.into(), points: reached.collect() }
}

/// How fast a count grows from sample to sample.
fn rate(name: &str, samples: &[Sample], of: fn(&Sample) -> f64) -> Line {
    let rate = |pair: &[Sample]| match pair {
        [from, to] if to.seconds > from.seconds => Some((to.seconds, ((of(to) - of(from)) / (to.seconds - from.seconds)).max(0.0))),
        _ => None,
    };
    Line { name: name.into(), points: samples.windows(2).filter_map(rate).collect() }
}

#[cfg(test)]
mod tests;
