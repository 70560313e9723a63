//! What is in an image, in SPDX 2.3: Debian's packages, Go programs with their modules, container images.
//!
//! Nothing in the document depends on when or where it was made: its namespace is the image's digest, its date the image's epoch.

use capstead_image::Digest;
use jiff::Timestamp;
use serde_json::{Value, json};

mod dpkg;
mod gobuild;
#[cfg(test)]
mod tests;

pub use dpkg::{DebianPackage, packages};
pub use gobuild::{GoBuild, GoModule, build_info};

/// A program that is no Debian package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its content's digest.
    pub digest: Digest,
    /// Where it came from, as `Origin` says it.
    pub from: String,
    /// What Go says of it.
    pub go: Option<GoBuild>,
}

/// What a document is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The image's name.
    pub name: String,
    /// The Debian release, such as `bookworm`.
    pub suite: String,
    /// Debian's packages.
    pub packages: Vec<DebianPackage>,
    /// Programs.
    pub programs: Vec<Program>,
    /// Container images: a name and the manifest's digest.
    pub images: Vec<(String, Digest)>,
}

/// The document.
#[must_use]
pub fn document(contents: &Contents, image: &Digest, epoch: u64) -> Value {
    let created = Timestamp::from_second(i64::try_from(epoch).unwrap_or_default()).unwrap_or_default().to_string();
    let mut packages = vec![json!({
        "SPDXID": "SPDXRef-Image",
        "name": contents.name,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "checksums": [checksum(image)],
    })];
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")];
    for package in &contents.packages {
        let id = id("Debian", &[&package.name, &package.version, &package.architecture]);
        packages.push(debian(&id, package, &contents.suite));
        relations.push(relation("SPDXRef-Image", "CONTAINS", &id));
    }
    let mut known = std::collections::BTreeSet::new();
    for program in &contents.programs {
        let program_id = id("Program", &[&program.name, &program.version]);
        packages.push(json!({
            "SPDXID": program_id,
            "name": program.name,
            "versionInfo": program.version,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "primaryPackagePurpose": "APPLICATION",
            "sourceInfo": program.from,
            "checksums": [checksum(&program.digest)],
        }));
        relations.push(relation("SPDXRef-Image", "CONTAINS", &program_id));
        let Some(go) = &program.go else { continue };
        let standard = GoModule { path: "stdlib".to_owned(), version: go.go.trim_start_matches("go").to_owned(), sum: String::new() };
        for module in go.modules.iter().chain([&standard]) {
            let module_id = id("Go", &[&module.path, &module.version]);
            if known.insert(module_id.clone()) {
                packages.push(go_module(&module_id, module));
            }
            relations.push(relation(&program_id, "STATIC_LINK", &module_id));
        }
    }
    for (name, digest) in &contents.images {
        let id = id("Container", &[name]);
        packages.push(json!({
            "SPDXID": id,
            "name": name,
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "primaryPackagePurpose": "CONTAINER",
            "checksums": [checksum(digest)],
        }));
        relations.push(relation("SPDXRef-Image", "CONTAINS", &id));
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": contents.name,
        "documentNamespace": format!("https://capstead.dev/spdx/{}", image.hex()),
        "creationInfo": {"created": created, "creators": [concat!("Tool: capstead-", env!("CARGO_PKG_VERSION"))]},
        "packages": packages,
        "relationships": relations,
    })
}

fn debian(id: &str, package: &DebianPackage, suite: &str) -> Value {
    let distro = if suite.is_empty() { String::new() } else { format!("&distro={suite}") };
    let url = format!("pkg:deb/debian/{}@{}?arch={}{distro}", escaped(&package.name), escaped(&package.version), package.architecture);
    let mut value = json!({
        "SPDXID": id,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "supplier": "NOASSERTION",
        "externalRefs": [reference(&url)],
    });
    if let Some(maintainer) = &package.maintainer {
        value["supplier"] = json!(format!("Organization: {maintainer}"));
    }
    if let Some(source) = &package.source {
        value["sourceInfo"] = json!(format!("built from the source package {source}"));
    }
    value
}

fn go_module(id: &str, module: &GoModule) -> Value {
    let mut value = json!({
        "SPDXID": id,
        "name": module.path,
        "versionInfo": module.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "externalRefs": [reference(&format!("pkg:golang/{}@{}", module.path, escaped(&module.version)))],
    });
    if !module.sum.is_empty() {
        value["sourceInfo"] = json!(format!("go.sum {}", module.sum));
    }
    value
}

fn reference(url: &str) -> Value {
    json!({"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": url})
}

fn checksum(digest: &Digest) -> Value {
    json!({"algorithm": "SHA256", "checksumValue": digest.hex()})
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

/// An identifier: letters, digits, `.` and `-` only. Names that become the same by that differ in their hash.
fn id(kind: &str, parts: &[&str]) -> String {
    let text = parts.join("-");
    let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' };
    let hash = Digest::of(text.as_bytes());
    format!("SPDXRef-{kind}-{}-{}", text.chars().map(legal).collect::<String>(), &hash.hex()[..8])
}

/// As a package URL has it.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '+' => "%2B".to_owned(),
            ':' => "%3A".to_owned(),
            '~' => "~".to_owned(),
            c => c.to_string(),
        })
        .collect()
}
