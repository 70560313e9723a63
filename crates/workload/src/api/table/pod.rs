//! What is told of a pod in one word each.

use serde_json::Value;

use super::entries;

fn terminal(pod: &Value) -> bool {
    matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

/// Containers that are ready, of all.
pub(super) fn ready(pod: &Value) -> String {
    let ready = entries(pod, "/status/containerStatuses")
        .filter(|container| container["ready"] == Value::Bool(true) && container["state"]["running"].is_object());
    format!("{}/{}", ready.count(), entries(pod, "/spec/containers").count())
}

/// How often containers were restarted.
pub(super) fn restarts(pod: &Value) -> String {
    entries(pod, "/status/containerStatuses").filter_map(|container| container["restartCount"].as_u64()).sum::<u64>().to_string()
}

/// The phase, or the reason that says more.
pub(super) fn status(pod: &Value) -> String {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    if pod["metadata"]["deletionTimestamp"].is_string() {
        if pod["status"]["reason"] == "NodeLost" {
            return "Unknown".to_owned();
        }
        if !terminal(pod) {
            return "Terminating".to_owned();
        }
    }
    let containers = entries(pod, "/status/containerStatuses").find_map(|container| {
        let state = &container["state"];
        text(&state["waiting"]["reason"]).or_else(|| match &state["terminated"] {
            Value::Object(ended) => {
                let code = || ended.get("exitCode").map_or_else(String::new, |code| format!("ExitCode:{code}"));
                Some(ended.get("reason").and_then(text).unwrap_or_else(code))
            }
            _ => None,
        })
    });
    containers.or_else(|| text(&pod["status"]["reason"])).or_else(|| text(&pod["status"]["phase"])).unwrap_or_else(|| "Unknown".to_owned())
}
