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
    let mega = bytes as f64 / 1_000_000.0;
    if mega < 10.0 { format!("{mega:.1} MB") } else { format!("{mega:.0} MB") }
}
