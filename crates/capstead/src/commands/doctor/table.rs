//! A diagnosis as people read it. Pure.

use capstead_doctor::Diagnosis;
use capstead_doctor::Finding;
use capstead_doctor::Severity;

use crate::output;

/// Everything that was found, each with what speaks for it and what to do; what could not be seen; and what it comes to.
pub fn diagnosis(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    if !diagnosis.findings.is_empty() {
        let row = |finding: &Finding| [word(finding.severity).to_owned(), finding.id.clone(), finding.about.clone()];
        text += &output::table(["SEVERITY", "FINDING", "ABOUT"], diagnosis.findings.iter().map(row));
        text += "\n\n";
    }
    for finding in &diagnosis.findings {
        text += &format!("{}\n\n", details(finding));
    }
    for looked in &diagnosis.looked {
        text += &format!("looked at: {looked}\n");
    }
    for unseen in &diagnosis.unseen {
        text += &format!("not looked at: {}: {}\n", unseen.what, unseen.why);
    }
    text + &verdict(diagnosis)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "ERROR",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn details(finding: &Finding) -> String {
    let mut text = format!("{} ({}): {}", finding.id, word(finding.severity), finding.about);
    let mut line = |what: &str, value: &str| text += &format!("\n  {what:<9} {value}");
    line("symptom:", &finding.symptom);
    line("cause:", &finding.cause);
    for (n, evidence) in finding.evidence.iter().enumerate() {
        line(if n == 0 { "seen:" } else { "" }, &format!("{}: {}", evidence.source, evidence.said));
    }
    if finding.more > 0 {
        line("", &format!("and {} more", finding.more));
    }
    line("do:", &finding.fix);
    text
}

fn verdict(diagnosis: &Diagnosis) -> String {
    let count = |severity| diagnosis.findings.iter().filter(|finding| finding.severity == severity).count();
    let counted = |(severity, one, many): (Severity, &str, &str)| match count(severity) {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {many}")),
    };
    let kinds = [(Severity::Error, "error", "errors"), (Severity::Warning, "warning", "warnings"), (Severity::Note, "note", "notes")];
    let found = kinds.into_iter().filter_map(counted).collect::<Vec<_>>().join(", ");
    match (found.is_empty(), diagnosis.unseen.is_empty()) {
        (true, true) => "nothing wrong was found".to_owned(),
        (true, false) => "nothing wrong was found, but not everything could be looked at".to_owned(),
        (false, _) => format!("found: {found}"),
    }
}

#[cfg(test)]
mod tests;
