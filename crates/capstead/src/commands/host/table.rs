//! A report as people read it. Pure.

use capstead_preflight::Check;
use capstead_preflight::Report;
use capstead_preflight::Runtime;
use capstead_preflight::Status;

use crate::output;

/// All that matters for this kind of host; what to do about what is not as it should be; and what it comes to.
pub fn report(report: &Report) -> String {
    let shown: Vec<&Check> = report.checks.iter().filter(|check| matters(check)).collect();
    let row = |check: &&Check| [word(check).to_owned(), check.id.clone(), check.found.clone()];
    let mut text = output::table(["STATUS", "CHECK", "FOUND"], shown.iter().map(row));
    for check in shown.iter().filter(|check| check.status != Status::Pass) {
        text += &format!("\n\n{} ({}): {}", check.id, word(check), check.found);
        for (what, value) in [("expected", &check.expected), ("why", &check.why), ("do", &check.fix)] {
            if !value.is_empty() {
                text += &format!("\n  {:<9} {value}", format!("{what}:"));
            }
        }
    }
    format!("{text}\n\n{}", verdict(report))
}

/// What could not be told matters where it is required; what does not belong to this kind of host never does.
fn matters(check: &Check) -> bool {
    check.required || check.status != Status::Skip
}

fn word(check: &Check) -> &'static str {
    match check.status {
        Status::Pass => "pass",
        Status::Fail => "FAIL",
        Status::Warn => "warn",
        Status::Skip => "?",
    }
}

fn verdict(report: &Report) -> String {
    let count = |wanted: fn(&Check) -> bool| report.checks.iter().filter(|check| wanted(check)).count();
    let failed = count(|check| check.required && check.status == Status::Fail);
    let untold = count(|check| check.required && check.status == Status::Skip);
    let warned = count(|check| check.status == Status::Warn);
    let kind = match report.runtime {
        Runtime::Capstead => "Capstead's runtime",
        Runtime::Flintlock => "flintlockd",
    };
    let counts: Vec<String> = [(failed, "failed"), (untold, "could not be told"), (warned, "to look at")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let ready = if report.ok { "is ready" } else { "is not ready" };
    let of = count(|check| check.status != Status::Skip) + untold;
    let rest = if counts.is_empty() { "all passed".to_owned() } else { counts.join(", ") };
    format!("{} {ready} for {kind}; of {of} checks: {rest}", report.host)
}

#[cfg(test)]
mod tests;
