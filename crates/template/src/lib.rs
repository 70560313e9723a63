//! clusterctl's templates: the variable grammar of `clusterctl generate`, in full.
//!
//! clusterctl renders templates with the Go library `drone/envsubst` v2 and a few rules of its own. This crate gives the
//! same results, byte for byte, with errors that say where and why, and with bounds on what a template may cost.
//!
//! ```
//! use capstead_template::{Template, Variables};
//!
//! let template = Template::parse("name: ${CLUSTER_NAME}\nreplicas: ${COUNT:=3}\n")?;
//! for variable in template.variables() {
//!     println!("{} {}", variable.name, variable.default.as_deref().unwrap_or("(required)"));
//! }
//! let mut variables = Variables::new().with_config_yaml("COUNT: 5")?.with_process_env();
//! variables.set("CLUSTER_NAME", "edge-1");
//! # let variables = variables.with_env([("COUNT", "5")]);
//! assert_eq!(template.render(&variables)?, "name: edge-1\nreplicas: 5\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Grammar
//!
//! | Form | Result |
//! |------|--------|
//! | `${V}` | the value; an error when there is none |
//! | `${V:=d}` `${V=d}` `${V:-d}` `${V:?d}` `${V:+d}` | the value, or `d` when it is not set **or empty**: all five the same, unlike a shell |
//! | `${V:n}` `${V:n:len}` | from byte `n` on, at most `len` bytes; what is not a number leaves the value as it is |
//! | `${#V}` | length in bytes |
//! | `${V^}` `${V^^}` `${V,}` `${V,,}` | upper case of the first or all characters, lower case of the first or all; one character to one (`ß` stays) |
//! | `${V/a/b}` `${V//a/b}` | the first `a`, or each, becomes `b`; no patterns; `${V//a/}` removes |
//! | `${V/#a/b}` `${V/%a/b}` | `a` at the front, or at the end, becomes `b`; without `b` nothing happens |
//! | `${V#p}` `${V##p}` | without the shortest, or the longest, front that matches the pattern `p` |
//! | `${V%p}` `${V%%p}` | the same at the end |
//! | `${ V }` `${ V}` `${V }` | an old spelling of `${V}` (ASCII names only) |
//! | `$$` | `$`, so `$${V}` is the text `${V}` |
//! | `$V` `$(V)` `\` | themselves; `\${V}` is still substituted |
//!
//! - **Names** are letters, digits and `_`, of any script, digits first too. A name with `-` or `.` is an error.
//! - **Arguments** (`d`, `a`, `b`, `p`, `n`, `len`) are one text or one `${...}`; only a default may mix texts and expressions:
//!   `${V:=a${W}b}`. Only a default and the `b` of a replacement may be empty.
//! - In a **replacement**, `\/` is a slash, `\\` a backslash and `$$` a dollar; elsewhere inside an expression nothing is escaped,
//!   so no argument can hold a `}`. A pattern without its closing slash runs on to the next slash of the text.
//! - A **pattern** of a trim knows `*`, `?`, `[a-z]`, `[^a-z]` and `\`; `*` matches slashes too. `%` and `%%` reverse pattern and value
//!   and trim the front, so classes and escapes do not work there. A malformed pattern leaves the value as it is.
//! - A negative `n` counts from the end, but `${V:-1}` is a default: it has to come from an expression, as in `${V:${N}}`.
//! - **Comments** are text like any other: `# ${V}` requires `V`.
//!
//! # Required variables
//!
//! [`Template::variables`] lists what clusterctl's `--list-variables` lists, with its surprises: the **first** use of a variable
//! decides whether it has a default; `${V:=}` counts as required; any operator's arguments count as default (that of `${V:1:2}` is
//! `12`); variables that stand only inside another expression are not listed, and are empty when not set. A required variable needs to be
//! set, but may be empty. Rendering first checks all of them and names all that are missing.
//!
//! # Where values come from
//!
//! Any [`Lookup`]; [`Variables`] has clusterctl's sources in its order: explicit settings, environment, configuration file.
//!
//! # Bounds
//!
//! [`MAX_TEXT`], [`MAX_DEPTH`], [`MAX_OUTPUT`] and [`MAX_WORK`]. No template and no value makes this crate panic.
//!
//! # Differences from clusterctl
//!
//! On purpose, each proven by a test against clusterctl v1.14.2:
//!
//! | Input | clusterctl | here |
//! |-------|------------|------|
//! | `${V:1:-1}`, a negative length | crashes | [`RenderError::NegativeLength`] |
//! | `${V:1:9223372036854775807}`, a length whose sum with the start overflows | crashes | the rest of the value |
//! | a NUL character in the template | drops all that follows | [`ParseError::Nul`] |
//! | beyond the bounds above | goes on, in time and memory without limit | [`ParseError::TooDeep`], [`ParseError::TooLong`], [`RenderError::TooLong`], [`RenderError::TooMuchWork`] |
//! | letters newer than Unicode 15 | unknown in names, without case | known |
//! | `V: 0755`, `V: 1_000`, `V: 0X1F` in the configuration | read as numbers: 493, 1000, 31 | kept as written |
//! | `V: 2026-01-31` in the configuration | `2026-01-31 00:00:00 +0000 UTC` | kept as written |
//! | `V: !!binary aGk=` in the configuration | decoded | kept as written |
//! | an integer beyond 64 bits in the configuration | rounded | [`ConfigError::Yaml`] |
//!
//! A result that is not UTF-8, because an expression cut a character in two, is a [`RenderError::SplitCharacter`] here; clusterctl fails
//! too, a step later, when it reads the result as YAML. Reading the result as YAML is not this crate's job.

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
