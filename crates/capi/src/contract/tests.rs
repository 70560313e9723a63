use super::*;

fn labels(pairs: &[(Contract, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(contract, value)| (contract.label().to_owned(), (*value).to_owned())).collect()
}

#[test]
fn core_prefers_the_newer_contract_and_the_highest_version() {
    use Contract::{V1Beta1, V1Beta2};
    let both = labels(&[(V1Beta1, "v1"), (V1Beta2, "v1alpha2_v1beta1_v1alpha10")]);
    assert_eq!(chosen_by_core(&both), Some((V1Beta2, "v1beta1")));
    let old = labels(&[(V1Beta1, "v1alpha2_v1alpha10"), (V1Beta2, "")]);
    assert_eq!(chosen_by_core(&old), Some((V1Beta1, "v1alpha10")));
    assert_eq!(chosen_by_core(&labels(&[])), None);
}

#[test]
fn a_label_value_lists_the_oldest_first_and_each_once() {
    assert_eq!(label_value(["v1", "v1alpha10", "v1beta1", "v1alpha2", "v1"]), "v1alpha2_v1alpha10_v1beta1_v1");
}
