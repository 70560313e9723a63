//! Makes the generated files, and checks what no compiler checks.

mod api_reference;
mod cli_reference;
mod components;
mod kubernetes_types;
mod layers;
mod objects;
mod release;
mod templates;

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use clap::Parser;

/// Chores of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Make the generated files: objects of the built-in components, the references of the command line and of the kinds, the types of Kubernetes, cluster templates
    Generate {
        /// Change nothing; fail if a file is not what would be made
        #[arg(long)]
        check: bool,
    },
    /// Check that crates depend only on crates of lower layers
    Layers,
    /// Make what `clusterctl init` takes: components, metadata and templates in the form of a local repository; and the manager's image
    Release(release::Release),
}

/// A generated file: its path in the repository, and its content.
type Generated = (PathBuf, String);

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    match Task::parse() {
        Task::Layers => layers::check(root),
        Task::Release(release) => release.make(root),
        Task::Generate { check } => {
            let mut files = objects::generate()?;
            files.extend(components::generate()?);
            files.push(cli_reference::generate());
            files.push(api_reference::generate()?);
            files.push(kubernetes_types::generate(root)?);
            files.extend(templates::generate(root)?);
            write(root, &files, check)
        }
    }
}

fn write(root: &Path, files: &[Generated], check: bool) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for (path, content) in files {
        let full = root.join(path);
        if std::fs::read_to_string(&full).ok().as_ref() == Some(content) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
        } else {
            std::fs::create_dir_all(full.parent().unwrap_or(root))?;
            std::fs::write(&full, content).with_context(|| format!("cannot write {}", full.display()))?;
            println!("made {}", path.display());
        }
    }
    if !stale.is_empty() {
        bail!("not as `cargo xtask generate` makes them: {}", stale.join(", "));
    }
    println!("{} generated files are as they should be", files.len());
    Ok(())
}
