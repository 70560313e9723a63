//! Reading a file, with all those it extends, and filling in its variables.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use super::{ImageFile, Problem};
use crate::builtin;

/// The largest file read, in bytes.
const LARGEST: u64 = 4 << 20;
/// The most files that extend one another.
const MOST_FILES: usize = 16;

/// A file that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The file, with all that it extends, and its variables filled in. Paths of sources are relative to this process, or absolute.
    pub file: ImageFile,
    /// The files it was read from, the outermost first.
    pub from: Vec<String>,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is too large.
    #[error("{} is larger than {LARGEST} bytes", path.display())]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// It is no YAML, or has a field that there is not.
    #[error("{file} is not an image file")]
    Syntax {
        /// The file.
        file: String,
        /// Where, and why.
        source: yaml_serde::Error,
    },
    /// There is no such built-in file.
    #[error("{file} extends `{name}`: that is neither a path (./{name}) nor built in; there are {}", builtin::names().collect::<Vec<_>>().join(", "))]
    NoSuchFile {
        /// The file.
        file: String,
        /// What it extends.
        name: String,
    },
    /// It extends itself, or too many others.
    #[error("{} files extend one another: {}", from.len(), from.join(", "))]
    TooMany {
        /// The files.
        from: Vec<String>,
    },
    /// A variable has no value, or is written wrongly.
    #[error("{file}: the variables cannot be filled in")]
    Variables {
        /// The file.
        file: String,
        /// Why.
        source: capstead_template::Error,
    },
    /// It breaks rules.
    #[error("{file} cannot be built:{}", problems.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Rules {
        /// The file.
        file: String,
        /// Which.
        problems: Vec<Problem>,
    },
}

/// Values of variables besides those in files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Hold where no file says otherwise.
    pub defaults: BTreeMap<String, String>,
    /// Hold whatever files say.
    pub set: BTreeMap<String, String>,
    /// Where Debian's packages are, whatever files say; where this is empty, as they say.
    pub mirrors: Vec<String>,
}

/// Reads the file that an image is built from: `None` is the built-in one of that name.
///
/// # Errors
/// When it cannot be read, or breaks a rule: all that it breaks are named.
pub fn load(path: Option<&Path>, default: &str, values: &Values) -> Result<Loaded, ReadError> {
    let (mut file, mut next, mut from) = match path {
        Some(path) => {
            let (file, next) = read(path)?;
            (file, next, vec![path.display().to_string()])
        }
        None => (ImageFile::default(), Some(Next::Builtin(default.to_owned())), Vec::new()),
    };
    while let Some(below) = next.take() {
        if from.len() >= MOST_FILES {
            return Err(ReadError::TooMany { from });
        }
        let (lower, further) = match &below {
            Next::Builtin(name) => builtin_file(name, from.last().map_or("the command", String::as_str))?,
            Next::Path(path) => read(path)?,
        };
        from.push(below.name());
        file = file.upon(lower);
        next = further;
    }
    let name = from.first().cloned().unwrap_or_default();
    let mut variables = values.defaults.clone();
    variables.extend(std::mem::take(&mut file.variables));
    variables.extend(values.set.clone());
    file.variables = variables;
    let mut file = filled(&file).map_err(|source| ReadError::Variables { file: name.clone(), source })?;
    if !values.mirrors.is_empty()
        && let Some(debian) = file.base.as_mut().and_then(|base| base.debian.as_mut())
    {
        debian.mirrors.clone_from(&values.mirrors);
    }
    match file.problems() {
        problems if problems.is_empty() => Ok(Loaded { file, from }),
        problems => Err(ReadError::Rules { file: name, problems }),
    }
}

/// What a file extends.
enum Next {
    Builtin(String),
    Path(PathBuf),
}

impl Next {
    fn name(&self) -> String {
        match self {
            Self::Builtin(name) => format!("built-in {name}"),
            Self::Path(path) => path.display().to_string(),
        }
    }
}

fn read(path: &Path) -> Result<(ImageFile, Option<Next>), ReadError> {
    let failed = |source| ReadError::Read { path: path.to_path_buf(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(ReadError::Large { path: path.to_path_buf() });
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mut file = parse(&text, &path.display().to_string())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let beside = |text: &String| folder.join(text).to_string_lossy().into_owned();
    for entry in &mut file.files {
        entry.source = entry.source.as_ref().map(beside);
    }
    file.modules.values_mut().for_each(|value| *value = beside(value));
    let next = match file.extends.take() {
        None => None,
        Some(name) if builtin::names().any(|known| known == name) => Some(Next::Builtin(name)),
        Some(name) if name.contains(['/', '.']) => Some(Next::Path(folder.join(name))),
        Some(name) => return Err(ReadError::NoSuchFile { file: path.display().to_string(), name }),
    };
    Ok((file, next))
}

fn builtin_file(name: &str, by: &str) -> Result<(ImageFile, Option<Next>), ReadError> {
    let text = builtin::text(name).ok_or_else(|| ReadError::NoSuchFile { file: by.to_owned(), name: name.to_owned() })?;
    let mut file = parse(text, &format!("built-in {name}"))?;
    let next = file.extends.take().map(Next::Builtin);
    Ok((file, next))
}

fn parse(text: &str, file: &str) -> Result<ImageFile, ReadError> {
    yaml_serde::from_str(text).map_err(|source| ReadError::Syntax { file: file.to_owned(), source })
}

/// Fills `${NAME}` in: first in the variables themselves, which may name one another, then everywhere else.
fn filled(file: &ImageFile) -> Result<ImageFile, capstead_template::Error> {
    let mut variables = file.variables.clone();
    // Each round fills in one level more; what is left then names itself.
    for _ in 0..MOST_FILES {
        let round: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| {
                let value = if value.contains("${") { capstead_template::render(value, &variables)? } else { value.clone() };
                Ok((name.clone(), value))
            })
            .collect::<Result<_, capstead_template::Error>>()?;
        if round == variables {
            break;
        }
        variables = round;
    }
    let mut json = serde_json::to_value(ImageFile { variables: BTreeMap::new(), ..file.clone() }).unwrap_or(Value::Null);
    walk(&mut json, &variables)?;
    // What was read from text once reads again: only texts have changed.
    let mut filled: ImageFile = serde_json::from_value(json).unwrap_or_default();
    filled.variables = variables;
    Ok(filled)
}

fn walk(value: &mut Value, variables: &BTreeMap<String, String>) -> Result<(), capstead_template::Error> {
    match value {
        Value::String(text) if text.contains('$') => *text = capstead_template::render(text, variables)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, variables))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|field| walk(field, variables))?,
        _ => {}
    }
    Ok(())
}
