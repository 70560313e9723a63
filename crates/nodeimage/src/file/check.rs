//! The rules that the types of a file cannot say.

use std::collections::BTreeSet;
use std::fmt;

use super::{Base, Debian, ImageFile};
use crate::kernel::KernelSpec;

/// A field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: such as `files[2].mode`.
    pub field: String,
    /// What it should be, and what it is.
    pub rule: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.rule)
    }
}

/// The most entries of each list. A file that needs more is not written by hand.
const MOST: usize = 1000;

impl ImageFile {
    /// Everything that is wrong with a file whose variables are filled in. Empty when it can be built.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut check = Check::default();
        check.base(self.base.as_ref(), self);
        check.lists(self);
        check.binaries(self);
        check.entries(self);
        check.units(self);
        check.images(self);
        check.problems
    }
}

impl KernelSpec {
    /// Everything that is wrong with it. Empty when it can be built.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut check = Check::default();
        check.suite("suite", &self.suite);
        check.mirrors("mirrors", &self.mirrors);
        check.require(is_package(&self.package), "package", format!("`{}` is no package's name", self.package));
        check.require(self.modules.len() <= MOST, "modules", format!("has {} entries: at most {MOST} are allowed", self.modules.len()));
        for (at, module) in self.modules.iter().enumerate() {
            check.require(is_word(module), format!("modules[{at}]"), format!("`{module}` is no module's name, such as virtio_blk"));
        }
        check.problems
    }
}

#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn say(&mut self, field: impl Into<String>, rule: impl Into<String>) {
        self.problems.push(Problem { field: field.into(), rule: rule.into() });
    }

    fn require(&mut self, holds: bool, field: impl Into<String>, rule: impl Into<String>) {
        if !holds {
            self.say(field, rule);
        }
    }

    fn base(&mut self, base: Option<&Base>, file: &ImageFile) {
        match base {
            Some(Base { debian: Some(debian), image: None }) => self.debian(debian),
            Some(Base { debian: None, image: Some(image) }) => {
                if let Err(error) = image.parse::<capstead_image::Reference>() {
                    self.say("base.image", error.to_string());
                }
                self.require(
                    file.packages.is_empty(),
                    "packages",
                    "packages need `base.debian`: an image is taken as it is, so leave them out, or put them into that image",
                );
                self.require(file.kernel.is_none(), "kernel", "a kernel's modules need `base.debian`, whose packages they come from");
            }
            _ => self.say("base", "is needed, with exactly one of `debian` and `image`"),
        }
    }

    fn debian(&mut self, debian: &Debian) {
        self.suite("base.debian.suite", &debian.suite);
        self.require(
            is_word(&debian.variant),
            "base.debian.variant",
            format!("`{}` is no variant of mmdebstrap's, such as minbase", debian.variant),
        );
        self.mirrors("base.debian.mirrors", &debian.mirrors);
        for (at, path) in debian.exclude.iter().enumerate() {
            self.require(
                path.starts_with('/') && !path.contains(['\n', '\'']),
                format!("base.debian.exclude[{at}]"),
                "must be an absolute path; `*` stands for anything",
            );
        }
    }

    fn suite(&mut self, field: &str, suite: &str) {
        self.require(is_word(suite), field, format!("`{suite}` is no release of Debian, such as bookworm"));
    }

    fn mirrors(&mut self, field: &str, mirrors: &[String]) {
        for (at, mirror) in mirrors.iter().enumerate() {
            let known = ["http://", "https://", "copy:", "file:", "deb "].iter().any(|start| mirror.starts_with(start));
            self.require(
                known && !mirror.contains('\n'),
                format!("{field}[{at}]"),
                format!("`{mirror}` is neither a URL nor a line of sources.list"),
            );
        }
    }

    fn lists(&mut self, file: &ImageFile) {
        let lengths = [
            ("packages", file.packages.len()),
            ("binaries", file.binaries.len()),
            ("folders", file.folders.len()),
            ("files", file.files.len()),
            ("links", file.links.len()),
            ("remove", file.remove.len()),
            ("images", file.images.len()),
        ];
        for (name, length) in lengths {
            self.require(length <= MOST, name, format!("has {length} entries: at most {MOST} are allowed"));
        }
        for (at, package) in file.packages.iter().enumerate() {
            self.require(is_package(package), format!("packages[{at}]"), format!("`{package}` is no package's name"));
        }
        if let Some(kernel) = &file.kernel {
            self.require(is_package(&kernel.package), "kernel.package", format!("`{}` is no package's name", kernel.package));
            for (at, folder) in kernel.drop.iter().enumerate() {
                self.require(is_inside(folder), format!("kernel.drop[{at}]"), format!("`{folder}` is no folder below kernel/"));
            }
        }
    }

    fn binaries(&mut self, file: &ImageFile) {
        let mut names = BTreeSet::new();
        for (at, binary) in file.binaries.iter().enumerate() {
            let field = format!("binaries[{at}]");
            if let Err(error) = binary.artifact().validate() {
                self.say(&field, error.to_string());
            }
            self.require(names.insert(&binary.name), format!("{field}.name"), format!("`{}` is there twice", binary.name));
            self.require(
                binary.go.is_some() || binary.image.is_some(),
                &field,
                format!("`{}` needs at least one source: `go` or `image`", binary.name),
            );
            if let Some(path) = &binary.path {
                self.path(&format!("{field}.path"), path);
            }
        }
    }

    fn entries(&mut self, file: &ImageFile) {
        let mut taken = BTreeSet::new();
        for (at, entry) in file.files.iter().enumerate() {
            let field = format!("files[{at}]");
            self.place(&mut taken, &field, &entry.path);
            self.require(
                mode(&entry.mode).is_some(),
                format!("{field}.mode"),
                format!("`{}` is no mode: write octal digits in quotes, such as \"0644\"", entry.mode),
            );
            self.require(
                owner(&entry.owner).is_some(),
                format!("{field}.owner"),
                format!("`{}` is no owner: write UID:GID in numbers", entry.owner),
            );
            self.require(
                entry.content.is_some() != entry.source.is_some(),
                &field,
                format!("{} needs exactly one of `content` and `source`", entry.path),
            );
        }
        for (at, link) in file.links.iter().enumerate() {
            let field = format!("links[{at}]");
            self.place(&mut taken, &field, &link.path);
            self.require(!link.target.is_empty() && !link.target.contains('\0'), format!("{field}.target"), "leads nowhere");
        }
        for (at, binary) in file.binaries.iter().enumerate() {
            if let Some(path) = &binary.path {
                self.require(taken.insert(path.clone()), format!("binaries[{at}].path"), format!("{path} is there twice"));
            }
        }
        for (name, paths) in [("folders", &file.folders), ("remove", &file.remove)] {
            for (at, path) in paths.iter().enumerate() {
                self.path(&format!("{name}[{at}]"), path);
            }
        }
    }

    fn place(&mut self, taken: &mut BTreeSet<String>, field: &str, path: &str) {
        self.path(&format!("{field}.path"), path);
        self.require(taken.insert(path.to_owned()), format!("{field}.path"), format!("{path} is there twice"));
    }

    fn path(&mut self, field: &str, path: &str) {
        self.require(
            path.strip_prefix('/').is_some_and(is_inside),
            field,
            format!("`{path}` must be an absolute path without `..`, `.` and `//`"),
        );
    }

    fn units(&mut self, file: &ImageFile) {
        let mut known = BTreeSet::new();
        let lists = [("enable", &file.units.enable), ("disable", &file.units.disable), ("mask", &file.units.mask)];
        for (list, units) in lists {
            for (at, unit) in units.iter().enumerate() {
                let field = format!("units.{list}[{at}]");
                self.require(is_unit(unit), &field, format!("`{unit}` is no unit's name: it ends with its kind, such as .service"));
                self.require(known.insert(unit), field, format!("{unit} is there twice"));
            }
        }
    }

    fn images(&mut self, file: &ImageFile) {
        let mut names = BTreeSet::new();
        for (at, image) in file.images.iter().enumerate() {
            let field = format!("images[{at}]");
            self.require(!image.names.is_empty(), format!("{field}.names"), "needs at least one name");
            for name in &image.names {
                let full = matches!(name.parse(), Ok(capstead_image::Reference::Registry(reference)) if reference.tag.is_some());
                self.require(full, format!("{field}.names"), format!("`{name}` is no name in full, such as registry.k8s.io/pause:3.10"));
                self.require(names.insert(name), format!("{field}.names"), format!("{name} is there twice"));
            }
            self.require(!image.files.is_empty(), format!("{field}.files"), "needs at least one file");
            for (number, part) in image.files.iter().enumerate() {
                let field = format!("{field}.files[{number}]");
                let sources = [part.binary.is_some(), part.root.is_some(), part.content.is_some()];
                self.require(
                    sources.into_iter().filter(|there| *there).count() == 1,
                    &field,
                    "needs exactly one of `binary`, `root` and `content`",
                );
                if part.content.is_some() {
                    self.require(part.path.is_some(), format!("{field}.path"), "is needed for content");
                }
                if let Some(binary) = &part.binary {
                    let known = file.binaries.iter().any(|it| it.name == *binary);
                    self.require(known, format!("{field}.binary"), format!("there is no `{binary}` in `binaries`"));
                    self.require(part.path.is_some(), format!("{field}.path"), "is needed for a binary");
                }
                for (name, path) in [("root", &part.root), ("path", &part.path)] {
                    if let Some(path) = path {
                        self.path(&format!("{field}.{name}"), path);
                    }
                }
            }
        }
        let runs = |name: &str| file.binaries.iter().any(|binary| binary.name == name);
        if !file.images.is_empty() && file.preload.unwrap_or_default() == super::Preload::Store {
            for name in ["containerd", "ctr"] {
                self.require(runs(name), "preload", format!("`store` needs `{name}` in `binaries`, which imports the images"));
            }
        }
    }
}

/// Permissions in octal digits.
pub(super) fn mode(text: &str) -> Option<u32> {
    let digits = (3..=5).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    if digits { u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777) } else { None }
}

/// `UID:GID`.
pub(super) fn owner(text: &str) -> Option<(u32, u32)> {
    let (user, group) = text.split_once(':')?;
    Some((user.parse().ok()?, group.parse().ok()?))
}

fn is_word(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !text.is_empty() && text.chars().all(legal) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// A name, or a name with a version or architecture: nothing that a shell or apt would take for something else.
fn is_package(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "+-.:~=_".contains(c);
    !text.is_empty() && text.chars().all(legal) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.contains(['\0', '\n']) && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn is_unit(text: &str) -> bool {
    const KINDS: [&str; 7] = ["service", "socket", "timer", "target", "mount", "path", "slice"];
    let legal = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    text.chars().all(legal) && text.rsplit_once('.').is_some_and(|(name, kind)| !name.is_empty() && KINDS.contains(&kind))
}
