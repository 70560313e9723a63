//! Where values come from: explicit settings, the environment, a clusterctl configuration.

use std::collections::BTreeMap;
use std::fmt;

use yaml_serde::Value;

use crate::ConfigError;
use crate::text::{lower_text, upper_text};

/// A source of values for [`Template::render`](crate::Template::render).
pub trait Lookup {
    /// The value of a variable; `None` when it is not set. An empty value is set, but lets defaults apply.
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Lookup for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

impl Lookup for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

/// Values from three places, in clusterctl's order: what was set explicitly, then the environment, then the configuration file.
///
/// Names are matched as clusterctl does: a variable `${foo}` or `${Foo}` reads the environment's `FOO`, and the
/// configuration's and explicit names match in any case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    explicit: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    config: BTreeMap<String, String>,
}

/// Names only: values, of the whole environment above all, may be secrets.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { explicit, environment, config } = self;
        f.debug_struct("Variables")
            .field("explicit", &explicit.keys())
            .field("environment", &environment.keys())
            .field("config", &config.keys())
            .finish()
    }
}

impl Variables {
    /// No values at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one value that wins over all others, as clusterctl's flags do for `CLUSTER_NAME`, `NAMESPACE` and their like.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.explicit.insert(lower_text(name), value.into());
    }

    /// Adds environment variables; only upper-case names can ever be read, as in clusterctl.
    pub fn with_env<N: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Adds the environment of this process. Names and values that are not UTF-8 count as not set: YAML could not hold them.
    pub fn with_process_env(self) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        self.with_env(variables)
    }

    /// Adds the top-level entries of a `clusterctl.yaml`.
    ///
    /// Numbers and booleans become text as clusterctl writes them (`1.30` is the number 1.3: quote versions), an entry
    /// without value is not set, and a list or mapping (`providers:`) counts as set and empty.
    ///
    /// # Errors
    /// [`ConfigError`] when the text is not YAML or not a mapping. An empty text is a configuration without entries.
    pub fn with_config_yaml(mut self, text: &str) -> Result<Self, ConfigError> {
        let entries = match yaml_serde::from_str(text)? {
            Value::Null => return Ok(self),
            Value::Mapping(entries) => entries,
            _ => return Err(ConfigError::NotMapping),
        };
        for (name, value) in entries {
            if let (Some(name), Some(value)) = (scalar(name), scalar(value)) {
                self.config.insert(lower_text(&name), value);
            }
        }
        Ok(self)
    }
}

impl Lookup for Variables {
    fn get(&self, name: &str) -> Option<String> {
        let lower = lower_text(name);
        self.explicit.get(&lower).or_else(|| self.environment.get(&upper_text(&lower))).or_else(|| self.config.get(&lower)).cloned()
    }
}

fn scalar(value: Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => go_float(float),
            _ => number.to_string(),
        },
        Value::String(text) => text,
        Value::Sequence(_) | Value::Mapping(_) => String::new(),
        Value::Tagged(tagged) => return scalar(tagged.value),
    })
}

/// A float as Go's `strconv.FormatFloat(f, 'f', -1, 64)`.
fn go_float(float: f64) -> String {
    if float.is_infinite() {
        return if float > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    float.to_string()
}

#[cfg(test)]
mod tests;
