//! Lines that frighten, and mean nothing.

use super::Rule;
use crate::finding::Finding;
use crate::finding::Severity;
use crate::picture::Picture;

pub(super) const RULES: &[Rule] =
    &[Rule { id: "unrecognized-format", symptom: "unrecognized format \"int32\" / \"int64\" during clusterctl init", find }];

fn find(picture: &Picture) -> Vec<Finding> {
    let mut told = picture.logged(&["unrecognized format"]);
    told.retain(|evidence| evidence.said.contains("int32") || evidence.said.contains("int64"));
    if told.is_empty() {
        return Vec::new();
    }
    let cause = "the API server says so of each CRD whose schema has the formats int32 and int64, which it does not check; it is harmless";
    vec![Finding::new(Severity::Note, "kube-apiserver", cause, "nothing").with(told)]
}

#[cfg(test)]
mod tests;
