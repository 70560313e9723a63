//! `AdmissionReview`, versions v1 and v1beta1, which differ in name only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::UserInfo;
use kube::core::GroupVersionKind;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::json;

use crate::Violation;

use super::patch::carry;

pub use kube::core::admission::Operation;

/// What is asked about an object, apart from the object.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    uid: String,
    /// The object's group, version and kind.
    pub kind: GroupVersionKind,
    /// Empty when a creation leaves the name to the API server.
    #[serde(default)]
    pub name: String,
    /// `None` for cluster-scoped objects.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Such as `status`.
    #[serde(default)]
    pub sub_resource: Option<String>,
    /// What is being done.
    pub operation: Operation,
    /// Who does it.
    #[serde(default)]
    pub user_info: UserInfo,
    /// Whether nothing will be stored.
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

impl Request {
    /// An annotation of the new object.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.object.get("metadata")?.get("annotations")?.get(name)?.as_str()
    }

    /// Whether an object that is being deleted changes in metadata and status at most.
    fn only_lets_go(&self) -> bool {
        let rest = |object: &Value| {
            let mut rest = object.clone();
            if let Some(fields) = rest.as_object_mut() {
                fields.remove("metadata");
                fields.remove("status");
            }
            rest
        };
        let deleting = self.object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
        deleting && !self.old_object.is_null() && rest(&self.object) == rest(&self.old_object)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    request: Request,
}

type Judge = Box<dyn Fn(&Request) -> Vec<Violation> + Send + Sync>;
type Warn = Box<dyn Fn(&Request) -> Vec<String> + Send + Sync>;
/// Gives the object as it should be.
type Change = Box<dyn Fn(&Request) -> Result<Value, Violation> + Send + Sync>;

/// What is asked at one path.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) judge: Option<Judge>,
    pub(super) judge_delete: Option<Judge>,
    pub(super) change: Option<Change>,
    pub(super) warn: Option<Warn>,
}

fn parse<K: DeserializeOwned>(object: &Value) -> Result<K, Violation> {
    K::deserialize(object).map_err(|error| Violation::new("", format!("the object does not parse: {error}")))
}

pub(super) fn judging<K: DeserializeOwned>(
    judge: impl Fn(&K, Option<&K>, &Request) -> Vec<Violation>,
) -> impl Fn(&Request) -> Vec<Violation> {
    move |request| match parse::<K>(&request.object) {
        Ok(new) => judge(&new, parse::<K>(&request.old_object).ok().as_ref(), request),
        Err(violation) => vec![violation],
    }
}

pub(super) fn judging_delete<K: DeserializeOwned>(judge: impl Fn(&K, &Request) -> Vec<Violation>) -> impl Fn(&Request) -> Vec<Violation> {
    move |request| match parse::<K>(&request.old_object) {
        Ok(old) => judge(&old, request),
        // What cannot be understood must still be deletable.
        Err(_) => Vec::new(),
    }
}

pub(super) fn warning<K: DeserializeOwned>(warn: impl Fn(&K) -> Vec<String>) -> impl Fn(&Request) -> Vec<String> {
    move |request| parse::<K>(&request.object).map(|object| warn(&object)).unwrap_or_default()
}

pub(super) fn changing<K: DeserializeOwned + Serialize>(
    change: impl Fn(&mut K, &Request),
) -> impl Fn(&Request) -> Result<Value, Violation> {
    let plain =
        |object: &K| serde_json::to_value(object).map_err(|error| Violation::new("", format!("the object cannot be written: {error}")));
    move |request| {
        let mut object: K = parse(&request.object)?;
        let before = plain(&object)?;
        change(&mut object, request);
        Ok(carry(request.object.clone(), &before, &plain(&object)?))
    }
}

/// Answers a review. An error tells what is wrong with the body.
pub(super) fn review(hooks: &Hooks, body: &[u8]) -> Result<Value, String> {
    let review: Review = serde_json::from_slice(body).map_err(|error| format!("the body is not an AdmissionReview: {error}"))?;
    let request = review.request;
    let mut response = decide(hooks, &request);
    response["uid"] = json!(request.uid);
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    let warnings = hooks.warn.as_ref().filter(|_| writes && response["allowed"] == true).map(|warn| warn(&request));
    if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
        response["warnings"] = json!(warnings);
    }
    Ok(json!({"apiVersion": review.api_version, "kind": "AdmissionReview", "response": response}))
}

fn decide(hooks: &Hooks, request: &Request) -> Value {
    let writes = matches!(request.operation, Operation::Create | Operation::Update);
    let judge = match request.operation {
        Operation::Delete => hooks.judge_delete.as_ref(),
        _ if writes && !request.only_lets_go() => hooks.judge.as_ref(),
        _ => None,
    };
    let violations = judge.map(|judge| judge(request)).unwrap_or_default();
    if !violations.is_empty() {
        return denied(request, &violations);
    }
    let Some(change) = hooks.change.as_ref().filter(|_| writes) else { return json!({"allowed": true}) };
    match change(request) {
        Err(violation) => denied(request, &[violation]),
        Ok(wanted) => {
            let patch = json_patch::diff(&request.object, &wanted);
            match serde_json::to_vec(&patch) {
                Ok(bytes) if !patch.0.is_empty() => {
                    json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(bytes)})
                }
                // A patch is always writable; without one nothing is changed.
                _ => json!({"allowed": true}),
            }
        }
    }
}

/// 422 in the words of the API server's own validation.
fn denied(request: &Request, violations: &[Violation]) -> Value {
    let said: Vec<String> = violations.iter().map(|violation| violation.to_string().trim_start().to_owned()).collect();
    let all = if said.len() == 1 { said.concat() } else { format!("[{}]", said.join(", ")) };
    let kind = format!("{}.{}", request.kind.kind, request.kind.group);
    let causes: Vec<Value> =
        violations.iter().map(|v| json!({"reason": "FieldValueInvalid", "message": v.rule, "field": v.field})).collect();
    json!({"allowed": false, "status": {
        "status": "Failure",
        "code": 422,
        "reason": "Invalid",
        "message": format!("{} \"{}\" is invalid: {all}", kind.trim_end_matches('.'), request.name),
        "details": {"name": request.name, "group": request.kind.group, "kind": request.kind.kind, "causes": causes},
    }})
}
