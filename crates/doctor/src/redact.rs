//! Takes secrets out of text that guests wrote: join tokens, certificate keys, private keys, passwords, and what user-data holds.
//!
//! Rather too much than too little is taken: whoever needs more has the guest.

use std::sync::LazyLock;

use regex::Regex;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// What is looked for, in this order. Group 1 and group 2 are kept, before and after what is taken out.
const PATTERNS: [&str; 15] = [
    // Keys in PEM, on lines of their own or in one with `\n` written out; one whose end is cut off, and one whose beginning is.
    r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\z)",
    r"\A()(?:[^\n]*[A-Za-z0-9+/=]{20,}\s*\n)+([^\n]*-----END [A-Z ]*PRIVATE KEY-----)",
    // The same in base64, as kubeconfigs and Secrets hold them: it begins with `-----BEGIN `.
    r"()LS0tLS1CRUdJTi[A-Za-z0-9+/=]+()",
    // kubeadm's tokens: six characters, a dot, sixteen more.
    r"()\b[a-z0-9]{6}\.[a-z0-9]{16}\b()",
    // Keys that certificates are uploaded under: beside their name, below it, or alone on a line behind a log's prefix.
    r"(?i)(certificate[ _-]?key[^\n]{0,40}\n?[^\n]{0,80}?)\b[0-9a-f]{64}\b()",
    r"(?m)(^|: |\] )[0-9a-f]{64}([ \t\r]*)$",
    // JSON web tokens, headers of HTTP, URLs with a password, hashes of passwords.
    r"()eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+()",
    r"(?i)((?:bearer|basic)[ \t]+)[A-Za-z0-9+/=._~-]{16,}()",
    r"(://[^/\s:@]{1,64}:)[^/\s@]+(@)",
    r"()\$[0-9a-z]{1,2}\$[./A-Za-z0-9$=,]{20,}()",
    // Values by the names of their keys, in YAML, JSON, TOML, as variables and as flags.
    r#"(?i)((?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|key-data|(?:^|[\s"'{,])auth)["']?[ \t]*[:=][ \t]*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,{}\[\]"']+)()"#,
    r"(?i)(--[a-z-]*(?:password|passphrase|secret|token|-key)[ \t]+)\S+()",
    // What cloud-init quotes of user-data: a part that it cannot read, a line that is no YAML, contents of files.
    r"(?i)(userdata: )b?['\x22][^\n]*()",
    r#"(in "<(?:unicode|byte) string>", line [0-9]+, column [0-9]+:\n)[^\n]*(\n[^\n]*\^)"#,
    r#"(?i)(["']content["']:[ \t]*)(?:b?'[^'\n]*'|"(?:[^"\\\n]|\\.)*")()"#,
];

static COMPILED: LazyLock<Vec<Regex>> = LazyLock::new(|| PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect());

/// The text without secrets.
#[must_use]
pub fn redact(text: &str) -> String {
    let replacement = format!("${{1}}{REDACTED}${{2}}");
    COMPILED.iter().fold(text.to_owned(), |text, pattern| match pattern.replace_all(&text, replacement.as_str()) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(text) => text,
    })
}

#[cfg(test)]
mod tests;
