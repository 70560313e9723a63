//! Webhooks: while nobody serves them, the API server refuses what they should judge.

use super::Rule;
use crate::finding::Finding;
use crate::object::Object;
use crate::picture::Picture;
use crate::picture::Reach;
use crate::picture::webhooks;

pub(super) const RULES: &[Rule] = &[Rule { id: "webhook", symptom: "applying the cluster template fails: failed calling webhook", find }];

fn find(picture: &Picture) -> Vec<Finding> {
    let mut findings: Vec<Finding> = picture.all().iter().filter_map(|object| configuration(picture, object)).collect();
    let told = picture.logged(&["failed calling webhook", "failed to call webhook"]);
    if findings.is_empty() && !told.is_empty() {
        let cause = "when this was written, nobody served the webhook, or its certificate was not trusted";
        let fix =
            "apply again when all managers are ready: `capstead status`, or `kubectl get deployments -A -l cluster.x-k8s.io/provider`";
        findings.push(Finding::error("a webhook", cause, fix).with(told));
    }
    findings
}

fn configuration(picture: &Picture, object: &Object) -> Option<Finding> {
    let all = webhooks(object);
    let dead = all.iter().find_map(|(name, address)| {
        let address = address.as_ref()?;
        let reach = picture.reached.get(address).filter(|reach| **reach != Reach::Open)?;
        Some((name, address, reach))
    });
    if let Some((name, address, reach)) = dead {
        let cause = format!("nobody serves its webhooks at {address}: the manager is down, or not up yet");
        let fix = "`capstead status` names the component that is down, `capstead logs COMPONENT` why";
        return Some(Finding::error(object.called(), cause, fix).seen(format!("{} ({name})", object.called()), &reach.to_string()));
    }
    // An address of its own is trusted by an authority of its own only.
    let bare = object.items("/webhooks").find(|webhook| {
        let bundle = webhook.pointer("/clientConfig/caBundle").and_then(|bundle| bundle.as_str()).unwrap_or_default();
        // What stands there until an authority is written in its place.
        matches!(bundle, "" | "Cg==")
    })?;
    let name = bare["name"].as_str().unwrap_or_default();
    let cause = "no authority vouches for its webhooks' certificates, so the API server trusts none";
    let fix = "the manager, or cert-manager's cainjector, writes it when it is up: look at their logs";
    Some(Finding::error(object.called(), cause, fix).seen(format!("{} ({name})", object.called()), "clientConfig.caBundle is empty"))
}

#[cfg(test)]
mod tests;
