//! Placeholder docs.

mod error;
mod eval;
mod glob;
mod legacy;
mod limits;
mod parse;
mod position;
mod template;
mod text;
mod variables;

pub use error::{ConfigError, Error, ParseError, RenderError, Rule};
pub use limits::{MAX_DEPTH, MAX_OUTPUT, MAX_TEXT, MAX_WORK};
pub use position::Position;
pub use template::{Template, Variable};
pub use variables::{Lookup, Variables};

/// Parses a template and renders it once.
///
/// # Errors
/// [`Error`], with the place in the text and the variable.
pub fn render(text: &str, lookup: &(impl Lookup + ?Sized)) -> Result<String, Error> {
    Ok(Template::parse(text)?.render(lookup)?)
}
