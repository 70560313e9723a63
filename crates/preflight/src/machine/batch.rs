//! Many questions as one script for `sh`, and the lines it writes as answers. Pure.
//!
//! Each answer is lines of its own: a number, what it is (`o` output, `e` errors, `c` exit code, `.` the end), and base64.
//! A line is short enough to be written in one piece, so answers may come at the same time.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Answer;
use super::Answers;
use super::AskError;
use super::LONGEST_ANSWER;
use super::LONGEST_QUESTION;
use super::Question;
use super::quoted;

/// What the script writes when it is through.
pub const DONE: &str = "done";
/// What it writes, and the tool's name, where one is missing.
const MISSING: &str = "missing";
/// How `timeout -s KILL` ends what it kills.
const KILLED: u8 = 137;

/// The script. Whoever runs it needs no rights but to run `sh`.
///
/// # Errors
/// A question is too long, or its name would break the script.
pub fn script(questions: &[Question]) -> Result<String, AskError> {
    let mut text = format!(
        "export LC_ALL=C PATH=\"$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"
for t in timeout base64 head; do command -v $t >/dev/null 2>&1 || {{ echo {MISSING} $t; exit 0; }}; done
e() {{ head -c {LONGEST_ANSWER} | base64 -w 2048 | while IFS= read -r l; do printf '%s %s %s\\n' \"$1\" \"$2\" \"$l\"; done; }}
q() {{
  {{ {{ {{ timeout -s KILL \"$2\" sh -c \"$3\" </dev/null 2>&4 3>&- 4>&-; printf '%s c %s\\n' \"$1\" \"$?\" >&3; }} | e \"$1\" o >&3; }} 4>&1 | e \"$1\" e >&3; }} 3>&1
  printf '%s .\\n' \"$1\"
}}
"
    );
    for (number, question) in questions.iter().enumerate() {
        let plain = question.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:".contains(c));
        if question.text.len() > LONGEST_QUESTION || question.text.contains('\0') || !plain {
            return Err(AskError::Question(question.name.clone()));
        }
        text += &format!("q {number} {} {} &\n", question.limit.as_secs().max(1), quoted(&question.text));
    }
    text += &format!("wait\necho {DONE}\n");
    Ok(text)
}

/// Reads what the script writes, line by line.
#[derive(Debug, Default)]
pub struct Reader {
    parts: BTreeMap<usize, Part>,
    missing: Option<String>,
    done: bool,
}

#[derive(Debug, Default)]
struct Part {
    out: Vec<u8>,
    err: Vec<u8>,
    code: Option<u8>,
    ended: bool,
}

impl Reader {
    /// Takes a line. What makes no sense (a greeting of the login shell, say) is passed over.
    pub fn line(&mut self, line: &str) {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some(DONE), None, _) => self.done = true,
            (Some(MISSING), Some(tool), None) => self.missing = Some(tool.to_owned()),
            (Some(number), Some(kind), value) => {
                let Ok(number) = number.parse() else { return };
                let part: &mut Part = self.parts.entry(number).or_default();
                let bytes = value.and_then(|value| STANDARD.decode(value).ok()).unwrap_or_default();
                match kind {
                    "o" => part.out.extend(bytes),
                    "e" => part.err.extend(bytes),
                    "c" => part.code = value.and_then(|value| value.parse().ok()),
                    "." => part.ended = true,
                    _ => (),
                }
            }
            _ => (),
        }
    }

    /// Whether all is said.
    #[must_use]
    pub fn done(&self) -> bool {
        self.done || self.missing.is_some()
    }

    /// The tool that the machine lacks.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// Whether anything was answered.
    #[must_use]
    pub fn heard(&self) -> bool {
        self.done || !self.parts.is_empty()
    }

    /// What was answered so far; the rest has timed out.
    #[must_use]
    pub fn answers(mut self, questions: &[Question]) -> Answers {
        let answer = |part: Part| match (part.ended, part.code) {
            (true, Some(code)) if code != KILLED => {
                Answer::Ended { code, out: String::from_utf8_lossy(&part.out).into(), err: String::from_utf8_lossy(&part.err).into() }
            }
            _ => Answer::TimedOut,
        };
        let named = questions.iter().enumerate().map(|(number, question)| {
            let part = self.parts.remove(&number).unwrap_or_default();
            (question.name.clone(), answer(part))
        });
        Answers(named.collect())
    }
}
