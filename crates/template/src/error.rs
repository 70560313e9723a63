//! What can go wrong with a template, and where.

use std::fmt;

use crate::limits::{MAX_DEPTH, MAX_OUTPUT, MAX_TEXT, MAX_WORK};
use crate::{Position, Variable};

/// The grammar rule a `${...}` expression breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A name follows `${`.
    #[error("`${{` is followed by a name of letters, digits and `_`")]
    Name,
    /// A name is followed by the closing brace or an operator.
    #[error("the name is followed by `}}` or one of the operators `: = , ^ / # %`")]
    NameEnd,
    /// `${#` takes just a name.
    #[error("`${{#` is followed by a name and `}}`")]
    Length,
    /// An operator that takes an argument is followed by one.
    #[error("the operator is followed by an argument that is not empty and begins with none of its own delimiters")]
    Argument,
    /// A colon is followed by the rest of a default's operator, or by a substring's start.
    #[error("`:` is followed by one of `= - ? +` or by a substring's start, whose first character is ASCII")]
    Substring,
    /// A substring's start is one text or one expression.
    #[error("a substring's start is followed by `:` or `}}`, and is either one text or one `${{...}}`")]
    SubstringStart,
    /// The pattern of a replacement is one text or one expression, ended by a slash.
    #[error("the pattern of a replacement is followed by `/`, and is either one text or one `${{...}}`")]
    Pattern,
    /// The last argument is one text or one expression; only a default may mix them.
    #[error("the last argument is followed by `}}`, and is either one text or one `${{...}}`")]
    End,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// An expression breaks the grammar.
    #[error("{position}: bad expression{}: {rule}; found {}", subject(variable), seen(*found))]
    Syntax {
        /// Where the expression's `${` stands.
        position: Position,
        /// The variable of the expression; `None` when its name could not be read.
        variable: Option<String>,
        /// The rule it breaks.
        rule: Rule,
        /// The character found instead; `None` at the end of the text.
        found: Option<char>,
    },
    /// The text holds a NUL character, which YAML does not allow.
    #[error("{position}: a template must not hold a NUL character")]
    Nul {
        /// Where the NUL stands.
        position: Position,
    },
    /// Expressions stand inside each other deeper than [`MAX_DEPTH`].
    #[error("{position}: expressions are nested deeper than {MAX_DEPTH}")]
    TooDeep {
        /// Where the first expression beyond the limit stands.
        position: Position,
    },
    /// The text is longer than [`MAX_TEXT`].
    #[error("the template has {length} bytes; the limit is {MAX_TEXT}")]
    TooLong {
        /// Length in bytes.
        length: usize,
    },
}

/// Why a template could not be rendered with these values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Required variables have no value: all of them, sorted by name.
    #[error("variables without value or default: {}", Missing(.variables))]
    Missing {
        /// The variables, sorted by name as clusterctl does, each with where it stands first.
        variables: Vec<Variable>,
    },
    /// The length of a substring is negative (clusterctl crashes here).
    #[error("{position}: the substring of `{variable}` has the negative length {length}")]
    NegativeLength {
        /// Where the expression's `${` stands.
        position: Position,
        /// The variable of the expression.
        variable: String,
        /// The length asked for.
        length: i64,
    },
    /// A substring or a trim cut a character in two, so the result is not text.
    #[error("{position}: the expression of `{variable}` cuts a character of more than one byte in two (offsets and lengths count bytes)")]
    SplitCharacter {
        /// Where the expression's `${` stands.
        position: Position,
        /// The variable of the expression.
        variable: String,
    },
    /// The result, or what one expression makes, is longer than [`MAX_OUTPUT`].
    #[error("{position}: the result grows beyond {MAX_OUTPUT} bytes at `{variable}`")]
    TooLong {
        /// Where the expression's `${` stands.
        position: Position,
        /// The variable of the expression.
        variable: String,
    },
    /// Rendering takes more than [`MAX_WORK`].
    #[error("{position}: the work exceeds {MAX_WORK} bytes read, written or compared at `{variable}`")]
    TooMuchWork {
        /// Where the expression's `${` stands.
        position: Position,
        /// The variable of the expression.
        variable: String,
    },
}

/// Why [`render`](crate::render) failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not a template.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The template could not be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
}

/// Why a clusterctl configuration could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is not YAML.
    #[error("the configuration is not valid YAML")]
    Yaml(#[from] yaml_serde::Error),
    /// It is YAML, but not a mapping of names to values.
    #[error("the configuration is not a mapping")]
    NotMapping,
}

fn subject(variable: &Option<String>) -> String {
    variable.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default()
}

fn seen(found: Option<char>) -> String {
    found.map_or_else(|| "the end of the text".into(), |c| format!("`{}`", c.escape_debug()))
}

struct Missing<'a>(&'a [Variable]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, variable) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{} ({})", variable.name, variable.position)?;
        }
        Ok(())
    }
}
