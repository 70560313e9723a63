//! Printing: tables for people, JSON and YAML for programs.

use std::io::Write;

use anyhow::Context;
use serde::Serialize;

use crate::cli::Output;

/// Prints `value` as asked; `table` is made only if it is wanted.
pub fn print(output: Output, value: &impl Serialize, table: impl FnOnce() -> String) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => table(),
        Output::Json => serde_json::to_string_pretty(value).context("cannot print as JSON")?,
        Output::Yaml => yaml_serde::to_string(value).context("cannot print as YAML")?,
    };
    line(&text)
}

/// Prints text with one end of line.
pub fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end_matches('\n').as_bytes())?;
    out.write_all(b"\n")?;
    Ok(())
}

/// A table without lines, as kubectl prints them.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Bytes as people read them.
pub fn bytes(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let (mut left, mut unit) = (bytes as f64 / 1_000.0, "kB");
    for larger in ["MB", "GB", "TB"] {
        if left >= 1_000.0 {
            (left, unit) = (left / 1_000.0, larger);
        }
    }
    if left < 10.0 { format!("{left:.1} {unit}") } else { format!("{left:.0} {unit}") }
}

/// How long something has been, as people read it: its largest unit, and the next where that is small.
pub fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0 | 1) => format!("{seconds}s"),
        (0, 0, 2..10) => format!("{minutes}m{}s", seconds % 60),
        (0, 0..3, _) => format!("{minutes}m"),
        (0, 3..8, _) => format!("{hours}h{}m", minutes % 60),
        (0 | 1, ..) => format!("{hours}h"),
        (2..8, ..) => format!("{days}d{}h", hours % 24),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_unit_that_suits_them() {
        for (count, text) in
            [(0, "0.0 kB"), (12_345, "12 kB"), (999_499, "999 kB"), (5_260_000, "5.3 MB"), (412_000_000, "412 MB"), (1 << 40, "1.1 TB")]
        {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn an_age_is_as_exact_as_it_matters() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (135, "2m15s"),
            (3_600, "60m"),
            (10_860, "3h1m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (900_000, "10d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(age(seconds), text);
        }
    }
}
