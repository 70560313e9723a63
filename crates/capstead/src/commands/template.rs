//! `template`: clusterctl's variables without clusterctl.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use capstead_template::Template;
use serde::Serialize;

use crate::cli;
use crate::output;

/// Runs a `template` command.
pub fn run(command: cli::Template) -> anyhow::Result<()> {
    match command {
        cli::Template::Render(args) => render(&args),
        cli::Template::Variables(args) => variables(&args),
    }
}

fn render(args: &cli::Render) -> anyhow::Result<()> {
    let text = read(&args.file)?;
    let mut variables = capstead_template::Variables::new().with_process_env();
    if let Some(path) = &args.config {
        let config = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        variables = variables.with_config_yaml(&config).with_context(|| format!("{} is no clusterctl configuration", path.display()))?;
    }
    for set in &args.set {
        let (name, value) = set.split_once('=').with_context(|| format!("--set {set}: must be NAME=VALUE"))?;
        variables.set(name, value);
    }
    let rendered = capstead_template::render(&text, &variables).with_context(|| format!("cannot render {}", args.file.display()))?;
    output::line(&rendered)
}

#[derive(Serialize)]
struct Row {
    name: String,
    required: bool,
    default: Option<String>,
}

fn variables(args: &cli::Variables) -> anyhow::Result<()> {
    let template = Template::parse(&read(&args.file)?).with_context(|| format!("cannot read {}", args.file.display()))?;
    let rows: Vec<Row> = template
        .variables()
        .into_iter()
        .map(|variable| Row { required: variable.default.is_none(), name: variable.name, default: variable.default })
        .collect();
    output::print(args.output, &rows, || {
        let cells = rows
            .iter()
            .map(|row| [row.name.clone(), if row.required { "yes" } else { "no" }.into(), row.default.clone().unwrap_or_default()]);
        output::table(["VARIABLE", "REQUIRED", "DEFAULT"], cells)
    })
}

/// The text of a file, or of standard input for `-`.
pub fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
