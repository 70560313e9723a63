//! What is wrong with a field.

use std::fmt;

/// A rule that a field of an object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path, such as `spec.placement.staticPool.hosts[0].endpoint`.
    pub field: String,
    /// The rule and how the value breaks it; field and rule read as one sentence.
    pub rule: String,
}

impl Violation {
    /// `field` breaks `rule`.
    #[must_use]
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.rule)
    }
}
