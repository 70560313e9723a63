use super::{Condition, Conditions, Polarity, Report, Status, kind, reason};

/// How to sum up an object's conditions in one, such as Ready; the rules and texts are core's.
///
/// An issue makes it False, otherwise an unknown condition makes it Unknown, otherwise it is True. The message lists what is wrong, in the
/// order of `types`; when all is well, the messages there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The type of the condition to make.
    pub target: &'a str,
    /// The types to sum up, the most telling first. A missing one counts as Unknown.
    pub types: &'a [&'a str],
    /// Types that are left out when missing.
    pub optional: &'a [&'a str],
}

impl Summary<'_> {
    /// Sums up; `None` when there is nothing to sum up (no types, or all of them optional and missing).
    #[must_use]
    pub fn of(&self, conditions: &Conditions) -> Option<Report> {
        let lines: Vec<Line> = self
            .types
            .iter()
            .filter_map(|type_| match conditions.get(type_) {
                Some(condition) => Some(Line::of(condition)),
                None if self.optional.contains(type_) => None,
                None => Some(Line { type_, weight: Weight::Unknown, text: "Condition not yet reported", has_message: true }),
            })
            .collect();
        let worst = lines.iter().map(|line| line.weight).min()?;
        let message = lines
            .iter()
            .filter(|line| line.weight != Weight::Info || (worst == Weight::Info && line.has_message))
            .map(Line::render)
            .collect::<Vec<_>>()
            .join("\n");
        let status = match worst {
            Weight::Issue => Status::False,
            Weight::Unknown => Status::Unknown,
            Weight::Info => Status::True,
        };
        Some(Report::new(self.target, status, self.reason(worst)).message(message))
    }

    fn reason(&self, worst: Weight) -> &'static str {
        let reasons = match self.target {
            kind::READY => [reason::NOT_READY, reason::READY_UNKNOWN, reason::READY],
            kind::AVAILABLE => [reason::NOT_AVAILABLE, reason::AVAILABLE_UNKNOWN, reason::AVAILABLE],
            _ => [reason::ISSUES_REPORTED, reason::UNKNOWN_REPORTED, reason::INFO_REPORTED],
        };
        reasons[worst as usize]
    }
}

/// What a condition means for the sum, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Issue,
    Unknown,
    Info,
}

struct Line<'a> {
    type_: &'a str,
    weight: Weight,
    text: &'a str,
    has_message: bool,
}

impl<'a> Line<'a> {
    fn of(condition: &'a Condition) -> Self {
        let weight = match (condition.status, Polarity::of(&condition.type_)) {
            (Status::Unknown, _) => Weight::Unknown,
            (Status::True, Polarity::Positive) | (Status::False, Polarity::Negative) => Weight::Info,
            (Status::False, Polarity::Positive) | (Status::True, Polarity::Negative) => Weight::Issue,
        };
        let has_message = !condition.message.is_empty();
        let text = if has_message { &condition.message } else { &condition.reason };
        Self { type_: &condition.type_, weight, text, has_message }
    }

    /// `* Type: text`, or the text as an indented list below when it has several lines or bullets of its own.
    fn render(&self) -> String {
        let bulleted = |line: &str| line.contains("* ");
        if !self.text.contains('\n') && !bulleted(self.text) {
            return format!("* {}: {}", self.type_, self.text);
        }
        let all_bulleted = self.text.lines().all(bulleted);
        let lines = self.text.split('\n').map(|line| {
            let prefix = match (all_bulleted, bulleted(line)) {
                (true, _) => "  ",
                (false, false) => "  * ",
                (false, true) => "    ",
            };
            format!("\n{prefix}{line}")
        });
        format!("* {}:{}", self.type_, lines.collect::<String>())
    }
}
