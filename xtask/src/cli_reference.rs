//! The command-line reference in docs/, from the command line itself.

use crate::Generated;

/// The page.
pub fn generate() -> Generated {
    let options = clap_markdown::MarkdownOptions::new().title("Command line".into()).show_footer(false);
    let page = clap_markdown::help_markdown_custom::<capstead::cli::Cli>(&options);
    ("docs/src/reference/cli.md".into(), format!("<!-- Made by `cargo xtask generate`. Do not edit. -->\n{page}"))
}
