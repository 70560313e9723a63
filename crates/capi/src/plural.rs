//! The plural of a kind, by the rule core uses to find a provider's CRD.
//!
//! Core never looks a CRD up by discovery: it computes `<plural>.<group>` with the Go library flect and fetches that name. A CRD with
//! another plural is never found. Words and endings are flect's, so this agrees with it for every lower-case kind that is not itself one of
//! flect's acronyms (such as a kind called just `Dns`).

mod words;

use words::{ENDINGS, WORDS};

/// The plural of a lower-case word, as `flect.Pluralize` makes it.
#[must_use]
pub fn pluralize(word: &str) -> String {
    if word.is_empty() {
        return String::new();
    }
    if let Some(known) = WORDS.iter().find(|known| known.singular == word) {
        return known.plural.to_owned();
    }
    let is_plural = WORDS.iter().any(|known| known.two_way && (known.plural == word || known.alternative == word));
    if is_plural {
        return word.to_owned();
    }
    // flect puts each new rule before the older ones, so the last word of the list is looked at first.
    let compounds = WORDS.iter().rev().filter(|known| known.compounds).map(|known| (known.singular, known.plural));
    for (singular, plural) in compounds.chain(ENDINGS.iter().copied()) {
        if word.ends_with(plural) {
            return word.to_owned();
        }
        if let Some(stem) = word.strip_suffix(singular) {
            return format!("{stem}{plural}");
        }
    }
    if word.ends_with('s') { word.to_owned() } else { format!("{word}s") }
}

/// The name core computes for the CRD of a kind: `<plural>.<group>`.
#[must_use]
pub fn crd_name(group: &str, kind: &str) -> String {
    format!("{}.{group}", pluralize(&kind.to_lowercase()))
}

#[cfg(test)]
mod tests;
