//! What the API offers: `/api`, `/apis` and below, whole and aggregated.

use std::sync::Arc;

use axum::response::IntoResponse;
use axum::response::Response;
use http::HeaderMap;
use http::header::ACCEPT;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use serde_json::json;

use super::kinds::Kind;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What can be done with stored objects.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Resources below others: of which, its name, the kind of its bodies, and what can be done.
type Below = (&'static str, &'static str, (&'static str, &'static str, &'static str), &'static [&'static str]);

const BELOW: &[Below] = &[
    ("pods", "eviction", ("policy", "v1", "Eviction"), &["create"]),
    ("pods", "portforward", ("", "", "PodPortForwardOptions"), &["create", "get"]),
    ("pods", "binding", ("", "", "Binding"), &["create"]),
];

/// Answers a path of discovery; `None` when it is not one.
pub(super) fn answer(path: &str, headers: &HeaderMap, kinds: &[Arc<Kind>]) -> Option<Response> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let aggregated = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(wants_aggregated);
    let body = match parts.as_slice() {
        ["api"] if aggregated => return Some(json(AGGREGATED, &groups_discovery(kinds, true))),
        ["apis"] if aggregated => return Some(json(AGGREGATED, &groups_discovery(kinds, false))),
        ["api"] => json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        ["apis"] => {
            let groups: Vec<Value> = groups(kinds).into_iter().filter(|name| !name.is_empty()).map(|name| group(kinds, name)).collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["apis", name] if groups(kinds).contains(name) => {
            let mut group = group(kinds, name);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        ["api", version] => resources(kinds, "", version)?,
        ["apis", group, version] => resources(kinds, group, version)?,
        _ => return None,
    };
    Some(json("application/json", &body))
}

fn wants_aggregated(accept: &str) -> bool {
    accept.split(',').any(|range| range.contains("as=APIGroupDiscoveryList") && range.contains("v=v2") && !range.contains("v2beta1"))
}

fn json(content_type: &'static str, body: &Value) -> Response {
    ([(CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

/// The groups' names, each once.
fn groups(kinds: &[Arc<Kind>]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for kind in kinds {
        if !names.contains(&kind.group.as_str()) {
            names.push(&kind.group);
        }
    }
    names
}

/// A group's versions, each once.
fn versions<'a>(kinds: &'a [Arc<Kind>], group: &str) -> Vec<&'a str> {
    let mut versions: Vec<&str> = Vec::new();
    for kind in kinds.iter().filter(|kind| kind.group == group) {
        if !versions.contains(&kind.version.as_str()) {
            versions.push(&kind.version);
        }
    }
    versions
}

fn group(kinds: &[Arc<Kind>], name: &str) -> Value {
    let entry = |version: &str| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let versions: Vec<Value> = versions(kinds, name).into_iter().map(entry).collect();
    json!({ "name": name, "preferredVersion": versions.first(), "versions": versions })
}

/// An `APIResourceList`; `None` when that version is not served.
fn resources(kinds: &[Arc<Kind>], group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in kinds.iter().filter(|kind| kind.is(group, version)) {
        let mut resource = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind, "verbs": verbs(kind),
        });
        if !kind.short.is_empty() {
            resource["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        for (name, (group, version, body), verbs) in below(kind) {
            let mut resource = json!({
                "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": body, "verbs": verbs,
            });
            if !version.is_empty() {
                resource["group"] = group.into();
                resource["version"] = version.into();
            }
            resources.push(resource);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources });
    (!resources.is_empty()).then_some(list)
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    if kind.review { &["create"] } else { &VERBS }
}

type Subresource<'a> = (&'a str, (&'a str, &'a str, &'a str), &'a [&'a str]);

fn below(kind: &Kind) -> Vec<Subresource<'_>> {
    let status = kind.status.then_some(("status", ("", "", kind.kind.as_str()), &["get", "patch", "update"] as &[&str]));
    let others = BELOW.iter().filter(|(of, ..)| kind.group.is_empty() && *of == kind.plural);
    status.into_iter().chain(others.map(|(_, name, body, verbs)| (*name, *body, *verbs))).collect()
}

/// An `APIGroupDiscoveryList` of the core group, or of the others.
fn groups_discovery(kinds: &[Arc<Kind>], core: bool) -> Value {
    let group = |name: &str| {
        let version = |version: &str| {
            let of = kinds.iter().filter(|kind| kind.is(name, version));
            let resources: Vec<Value> = of.map(|kind| discovered(kind)).collect();
            json!({ "version": version, "freshness": "Current", "resources": resources })
        };
        let versions: Vec<Value> = versions(kinds, name).into_iter().map(version).collect();
        json!({ "metadata": if name.is_empty() { json!({}) } else { json!({ "name": name }) }, "versions": versions })
    };
    let items: Vec<Value> = groups(kinds).into_iter().filter(|name| name.is_empty() == core).map(group).collect();
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items })
}

fn discovered(kind: &Kind) -> Value {
    let response = |(group, version, body): (&str, &str, &str)| {
        let (group, version) = if version.is_empty() { (kind.group.as_str(), kind.version.as_str()) } else { (group, version) };
        json!({ "group": group, "version": version, "kind": body })
    };
    let subresources: Vec<Value> = below(kind)
        .into_iter()
        .map(|(name, body, verbs)| json!({ "subresource": name, "responseKind": response(body), "verbs": verbs }))
        .collect();
    let mut resource = json!({
        "resource": kind.plural, "responseKind": response(("", "", &kind.kind)), "singularResource": kind.singular,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "verbs": verbs(kind),
    });
    if !kind.short.is_empty() {
        resource["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    if !subresources.is_empty() {
        resource["subresources"] = json!(subresources);
    }
    resource
}
