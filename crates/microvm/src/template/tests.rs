use serde_json::json;

use super::*;
use crate::sample;

#[test]
fn a_template_tells_the_autoscaler_what_its_machines_offer() {
    let mut template = sample::template();
    let expected = json!({"capacity": {"cpu": "2", "memory": "2048Mi"}, "nodeInfo": {"operatingSystem": "linux"}});
    assert_eq!(told(&template), expected);

    let metadata = template.spec.contract.template.metadata.get_or_insert_default();
    metadata.labels.insert("kubernetes.io/arch".into(), "arm64".into());
    assert_eq!(told(&template)["nodeInfo"], json!({"architecture": "arm64", "operatingSystem": "linux"}));
    let metadata = template.spec.contract.template.metadata.get_or_insert_default();
    metadata.labels.insert("kubernetes.io/arch".into(), "pdp11".into());
    assert_eq!(told(&template)["nodeInfo"], json!({"operatingSystem": "linux"}), "what the contract does not know is not told");
}
