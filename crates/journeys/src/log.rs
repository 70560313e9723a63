//! How a journey went: its stages with their times, as a table's rows, and as JUnit's XML.

use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

/// One stage that was gone through, or left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The part that it belongs to, such as `v1alpha1`.
    pub part: String,
    /// Its name.
    pub stage: String,
    /// What is true after it.
    pub title: String,
    /// How long it was to take.
    #[serde(serialize_with = "seconds", deserialize_with = "from_seconds")]
    pub expected: Duration,
    /// How long it took.
    #[serde(serialize_with = "seconds", deserialize_with = "from_seconds")]
    pub took: Duration,
    /// How it ended.
    pub ended: Ended,
}

/// How a stage ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// As it shall.
    Passed,
    /// Not, and why.
    Failed(String),
    /// It was left out, and why.
    Skipped(String),
}

fn seconds<S: serde::Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64((time.as_secs_f64() * 10.0).round() / 10.0)
}

fn from_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(serde::de::Error::custom)
}

impl Entry {
    /// Part, stage, expected and actual time, and how it ended, each for one column.
    #[must_use]
    pub fn row(&self) -> [String; 5] {
        let took = match self.ended {
            Ended::Skipped(_) => "-".into(),
            _ => format!("{:.1} s", self.took.as_secs_f64()),
        };
        let ended = match &self.ended {
            Ended::Passed => self.title.clone(),
            Ended::Failed(why) => format!("FAILED: {}", why.lines().next().unwrap_or_default()),
            Ended::Skipped(why) => format!("left out: {why}"),
        };
        [self.part.clone(), self.stage.clone(), format!("{} s", self.expected.as_secs()), took, ended]
    }

    /// Why it failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.ended {
            Ended::Failed(why) => Some(why),
            Ended::Passed | Ended::Skipped(_) => None,
        }
    }
}

/// The entries as JUnit's XML: a test suite for each part, a test case for each stage.
#[must_use]
pub fn junit(name: &str, entries: &[Entry]) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for entry in entries {
        if !parts.contains(&entry.part.as_str()) {
            parts.push(&entry.part);
        }
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&Entry> = entries.iter().collect();
    // Writing to a text cannot fail.
    let _ = writeln!(xml, "<testsuites name=\"{}\" {}>", escaped(name), counts(&all));
    for part in parts {
        let own: Vec<&Entry> = all.iter().copied().filter(|entry| entry.part == part).collect();
        let _ = writeln!(xml, "  <testsuite name=\"{}\" {}>", escaped(part), counts(&own));
        for entry in own {
            let _ = write!(
                xml,
                "    <testcase classname=\"{}.{}\" name=\"{}: {}\" time=\"{:.3}\"",
                escaped(name),
                escaped(part),
                escaped(&entry.stage),
                escaped(&entry.title),
                entry.took.as_secs_f64()
            );
            let _ = match &entry.ended {
                Ended::Passed => writeln!(xml, "/>"),
                Ended::Skipped(why) => writeln!(xml, "><skipped message=\"{}\"/></testcase>", escaped(why)),
                Ended::Failed(why) => {
                    let first = why.lines().next().unwrap_or_default();
                    writeln!(xml, "><failure message=\"{}\">{}</failure></testcase>", escaped(first), escaped(why))
                }
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts(entries: &[&Entry]) -> String {
    let failed = entries.iter().filter(|entry| matches!(entry.ended, Ended::Failed(_))).count();
    let skipped = entries.iter().filter(|entry| matches!(entry.ended, Ended::Skipped(_))).count();
    let time: Duration = entries.iter().map(|entry| entry.took).sum();
    format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{:.3}\"", entries.len(), time.as_secs_f64())
}

/// Text as it may stand in an attribute or element. What XML has no place for becomes the replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
