//! Builds of images as people look at them. Pure.

use super::Foretold;
use super::Told;
use crate::output;

/// What was built.
pub(super) fn built(told: &Told<'_>) -> String {
    let Told { kubernetes, kernel, written, images, .. } = told;
    let size = output::bytes(written.size);
    let mut lines = vec![
        ("Image", Some(written.reference.clone())),
        ("Digest", Some(written.digest.to_string())),
        ("Size", Some(size)),
        ("Kubernetes", kubernetes.map(str::to_owned)),
        ("Kernel", kernel.map(str::to_owned)),
        ("Containers", (!images.is_empty()).then(|| format!("{} images in it", images.len()))),
    ];
    lines.extend(written.documents.iter().map(|path| ("Document", Some(path.display().to_string()))));
    let line = |(name, value): (&str, Option<String>)| value.map(|value| format!("{name:<11} {value}"));
    lines.into_iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

/// What would be built.
pub(super) fn foretold(foretold: &Foretold<'_>) -> String {
    let (binaries, steps) = (&foretold.forecast.binaries, &foretold.forecast.steps);
    let mut text = String::new();
    if !binaries.is_empty() {
        let rows = binaries.iter().map(|binary| {
            let state = if binary.digest.is_some() { "here" } else { "to fetch" };
            [binary.name.clone(), binary.version.clone(), state.to_owned(), binary.from.join(", else ")]
        });
        text = output::table(["BINARY", "VERSION", "STATE", "FROM"], rows) + "\n\n";
    }
    let rows = steps.iter().map(|step| [step.what.clone(), if step.done { "done" } else { "to do" }.to_owned()]);
    text += &output::table(["STEP", "STATE"], rows);
    let fetch = binaries.iter().filter(|binary| binary.digest.is_none()).count();
    let todo = steps.iter().filter(|step| !step.done).count();
    format!("{text}\n\n{} would be made with {fetch} binaries to fetch and {todo} steps to do; nothing was changed", foretold.reference)
}
