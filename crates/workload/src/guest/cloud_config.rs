//! cloud-init: renders, merges and carries out cloud-config, as far as a node depends on it.

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use super::document;
use super::jinja;
use super::system::File;
use super::system::Script;
use super::system::System;
use super::user_data;
use super::user_data::Kind;
use super::user_data::Part;

#[cfg(test)]
mod tests;

/// What a machine without any name is called.
const NAMELESS: &str = "localhost";

/// Why cloud-init gives up.
#[derive(Debug, thiserror::Error)]
pub enum CloudConfigError {
    /// The template is broken. cloud-init would ignore it, and run nothing.
    #[error("the jinja template cannot be rendered")]
    Jinja(#[from] minijinja::Error),
    /// The YAML is broken. cloud-init would ignore it, and run nothing.
    #[error("the cloud-config cannot be read")]
    Yaml(#[from] document::YamlError),
    /// Not a map.
    #[error("the cloud-config is not one map of keys, but {0}")]
    NotAMap(&'static str),
    /// A key holds what its module cannot use.
    #[error("{key} is wrong")]
    Key {
        /// Such as `write_files`.
        key: &'static str,
        /// What and where.
        #[source]
        source: serde_json::Error,
    },
    /// A file's content is not what its encoding says.
    #[error("write_files: the content of {path} is not {encoding}")]
    Content {
        /// Which file.
        path: String,
        /// As it is written there.
        encoding: String,
    },
    /// Permissions that are no octal number.
    #[error("write_files: the permissions {permissions:?} of {path} are not an octal number")]
    Permissions {
        /// Which file.
        path: String,
        /// As they are written there.
        permissions: String,
    },
}

#[derive(Deserialize)]
struct WriteFile {
    path: String,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    permissions: Option<Value>,
    #[serde(default)]
    append: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Command {
    Line(String),
    Words(Vec<Word>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Text(String),
    Number(serde_json::Number),
    Switch(bool),
}

/// Carries out user data and vendor data; a key of the user data hides the same key of the vendor data.
///
/// # Errors
///
/// Where cloud-init would give up, and where it would go on without what was meant.
pub fn provision(user: &[Part], vendor: &[Part], meta_data: &Map<String, Value>) -> Result<System, CloudConfigError> {
    let mut parts = Parts::default();
    let mut config = parts.read(vendor, meta_data)?;
    config.extend(parts.read(user, meta_data)?);

    let mut system = System { hostname: hostname(&config, meta_data), ..System::default() };
    if parts.missing {
        system.warnings.push(format!("a variable of the template is not in the metadata, so {}… is in its place", jinja::MISSING));
    }
    let mut early = commands(&config, "bootcmd")?;
    parts.hooks.append(&mut early);
    system.scripts.extend(parts.hooks.into_iter().map(|text| Script { text, strict: false }));
    for file in list::<WriteFile>(&config, "write_files")? {
        write(&mut system, file)?;
    }
    // One script: a command that fails does not stop the next, but `exit` does.
    system.scripts.push(Script { text: commands(&config, "runcmd")?.join("\n"), strict: false });
    system.scripts.extend(parts.scripts.into_iter().map(|text| Script { text, strict: false }));
    Ok(system)
}

#[derive(Default)]
struct Parts {
    hooks: Vec<String>,
    scripts: Vec<String>,
    missing: bool,
}

impl Parts {
    /// The cloud-config of all parts, where a later part's key replaces an earlier's; other parts are put aside.
    fn read(&mut self, parts: &[Part], meta_data: &Map<String, Value>) -> Result<Map<String, Value>, CloudConfigError> {
        let mut config = Map::new();
        for part in parts {
            match part.kind {
                Kind::Script => self.scripts.push(part.text.clone()),
                Kind::Boothook => self.hooks.push(part.text.clone()),
                Kind::CloudConfig { jinja: false } => config.extend(map(&part.text)?),
                Kind::CloudConfig { jinja: true } => {
                    let text = jinja::render(&part.text, meta_data)?;
                    self.missing |= text.contains(jinja::MISSING);
                    config.extend(map(&text)?);
                }
            }
        }
        Ok(config)
    }
}

fn map(text: &str) -> Result<Map<String, Value>, CloudConfigError> {
    let mut documents = document::yaml(text)?.into_iter();
    match (documents.next(), documents.next()) {
        (None, _) => Ok(Map::new()),
        (Some(Value::Object(map)), None) => Ok(map),
        (Some(Value::Object(_)), Some(_)) => Err(CloudConfigError::NotAMap("several documents")),
        (Some(Value::Array(_)), _) => Err(CloudConfigError::NotAMap("a list")),
        (Some(_), _) => Err(CloudConfigError::NotAMap("a single value")),
    }
}

fn hostname(config: &Map<String, Value>, meta_data: &Map<String, Value>) -> String {
    let text = |map: &Map<String, Value>, keys: &[&str]| {
        keys.iter().find_map(|key| map.get(*key)?.as_str().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned))
    };
    let configured = text(config, &["hostname", "fqdn"]);
    let name =
        configured.or_else(|| text(meta_data, &["local_hostname", "local-hostname", "hostname"])).unwrap_or_else(|| NAMELESS.to_owned());
    // `fqdn` names the domain too; cloud-init makes the first label the host's name, unless `prefer_fqdn_over_hostname`.
    let whole = config.get("hostname").is_some()
        || config.get("fqdn").is_none()
        || config.get("prefer_fqdn_over_hostname") == Some(&Value::Bool(true));
    if whole { name } else { name.split('.').next().unwrap_or_default().to_owned() }
}

fn list<T: for<'a> Deserialize<'a>>(config: &Map<String, Value>, key: &'static str) -> Result<Vec<T>, CloudConfigError> {
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => Vec::deserialize(value).map_err(|source| CloudConfigError::Key { key, source }),
    }
}

fn commands(config: &Map<String, Value>, key: &'static str) -> Result<Vec<String>, CloudConfigError> {
    let quoted = |word: Word| {
        let text = match word {
            Word::Text(text) => text,
            Word::Number(number) => number.to_string(),
            Word::Switch(switch) => switch.to_string(),
        };
        shlex::try_quote(&text).map(std::borrow::Cow::into_owned).unwrap_or_default()
    };
    let commands = list::<Command>(config, key)?.into_iter().map(|command| match command {
        Command::Line(line) => line,
        Command::Words(words) => words.into_iter().map(quoted).collect::<Vec<_>>().join(" "),
    });
    Ok(commands.collect())
}

fn write(system: &mut System, file: WriteFile) -> Result<(), CloudConfigError> {
    let WriteFile { path, content, encoding, owner, permissions, append } = file;
    let encoding = encoding.unwrap_or_default();
    let wrong = || CloudConfigError::Content { path: path.clone(), encoding: encoding.clone() };
    let mut content = content.unwrap_or_default().into_bytes();
    let name = encoding.trim().to_ascii_lowercase();
    let (packed, coded) = match name.as_str() {
        "" | "text/plain" => (false, false),
        "b64" | "base64" => (false, true),
        "gz" | "gzip" => (true, false),
        "gz+base64" | "gzip+base64" | "gz+b64" | "gzip+b64" => (true, true),
        _ => {
            system.warnings.push(format!("write_files: {path} has the unknown encoding {name:?}, and is taken as plain text"));
            (false, false)
        }
    };
    if coded {
        content = user_data::base64(&content).map_err(|_| wrong())?;
    }
    if packed {
        content = user_data::gunzip(&content).map_err(|_| wrong())?;
    }
    let permissions = match permissions {
        None | Some(Value::Null) => 0o644,
        Some(value) => octal(&value).ok_or_else(|| CloudConfigError::Permissions { path: path.clone(), permissions: value.to_string() })?,
    };
    system.write(path, File { content, permissions, owner: owner.unwrap_or_default() }, append);
    Ok(())
}

/// A number without quotes was read as YAML 1.2 does; `0o644` and `0644` both mean octal to the writer.
fn octal(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => u32::from_str_radix(text.trim().trim_start_matches("0o"), 8).ok(),
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    }
}
