//! Every rule of Cluster API's contract that is data, on the definitions and objects as the API server has them while core works with them.

use std::collections::BTreeMap;

use capstead_capi::rules::Level;
use capstead_capi::rules::Role;
use capstead_capi::rules::Subject;
use capstead_capi::rules::Verdict;
use capstead_capi::rules::rules;
use serde_json::Value;

use crate::journey::Journey;
use crate::world::Kind;

const GROUP: &str = "infrastructure.cluster.x-k8s.io";
const VERSIONS: [&str; 2] = ["infrastructure.cluster.x-k8s.io/v1alpha2", "infrastructure.cluster.x-k8s.io/v1alpha1"];
const ROLES: [(Role, &str, &str); 4] = [
    (Role::InfraCluster, "MicrovmCluster", "microvmclusters"),
    (Role::InfraClusterTemplate, "MicrovmClusterTemplate", "microvmclustertemplates"),
    (Role::InfraMachine, "MicrovmMachine", "microvmmachines"),
    (Role::InfraMachineTemplate, "MicrovmMachineTemplate", "microvmmachinetemplates"),
];

/// Rules about what no object here has: external management.
const UNMET: [&str; 1] = ["infra-cluster.managed-by"];

/// Judges all kinds, in both versions; a rule that no object meets says nothing.
pub fn the_provider_keeps_every_rule_of_the_contract(journey: &Journey<'_>) {
    let mut judged: BTreeMap<&str, (Level, bool)> = BTreeMap::new();
    let mut broken = Vec::new();
    for (role, kind, plural) in ROLES {
        let crd = journey.world().plane.get(&["crd", &format!("{plural}.{GROUP}")]);
        let objects: Vec<Value> =
            VERSIONS.into_iter().flat_map(|version| journey.world().list(Kind(version, kind), journey.name)).collect();
        assert!(!objects.is_empty(), "{kind}");
        let subject = Subject { role, crd: &crd, objects: &objects };
        for rule in rules().filter(|rule| rule.applies_to.contains(&role)) {
            let verdict = rule.judge(&subject);
            if let Verdict::Fail(findings) = &verdict {
                broken.extend(findings.iter().map(|finding| format!("{kind}: {}: {finding}", rule.id)));
            }
            judged.entry(rule.id).or_insert((rule.level, false)).1 |= verdict == Verdict::Pass;
        }
    }
    assert_eq!(broken, [""; 0]);
    let unmet: Vec<&str> = judged.iter().filter(|(_, (level, met))| *level == Level::Mandatory && !met).map(|(id, _)| *id).collect();
    assert_eq!(unmet, UNMET, "mandatory rules that nothing here meets");
    journey.said(&format!("keeps {} rules of the contract", judged.values().filter(|(_, met)| *met).count()));
}
