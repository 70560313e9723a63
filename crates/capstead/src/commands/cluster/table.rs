//! A cluster in tables.

use capstead_journeys::Look;
use capstead_journeys::look::MicroVm;
use capstead_journeys::tree::Row;
use jiff::Timestamp;

use crate::output;

/// The tree as a table.
pub fn tree(rows: &[Row], now: Timestamp) -> String {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let cells = rows.iter().map(|row| {
        let since = row.since.map(|since| age(now.duration_since(since).as_secs()));
        [format!("{}{}", row.branch, row.object), dash(&row.ready), dash(&row.reason), dash(&since.unwrap_or_default()), row.note.clone()]
    });
    output::table(["NAME", "READY", "REASON", "SINCE", "NOTE"], cells)
}

fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// The microVMs as a table, hosts without any included.
pub fn microvms(look: &Look) -> String {
    let cells = look.hosts.iter().flat_map(|host| {
        let row = |microvm: &MicroVm| [host.address.clone(), microvm.name.clone(), microvm.uid.clone(), microvm.state.clone()];
        match &host.microvms {
            Ok(microvms) if microvms.is_empty() => vec![[host.address.clone(), "-".into(), "-".into(), "-".into()]],
            Ok(microvms) => microvms.iter().map(row).collect(),
            Err(why) => vec![[host.address.clone(), "-".into(), "-".into(), why.clone()]],
        }
    });
    output::table(["HOST", "MICROVM", "UID", "STATE"], cells)
}

#[cfg(test)]
mod tests;
