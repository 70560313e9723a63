//! What kubeadm init leaves in the API, and what kubeadm join reads of it.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use semver::Version;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use super::put;
use super::tokens;
use crate::guest;
use crate::guest::kubeadm::Init;
use crate::store::Store;

/// The fixed part, with what differs marked.
const TEMPLATE: &str = include_str!("kubeadm.yaml");
/// Where images come from, unless the configuration says otherwise.
const REGISTRY: &str = "registry.k8s.io";
/// The CoreDNS of kubeadm 1.36.
const DNS_TAG: &str = "v1.14.2";

/// Makes it.
pub fn make(store: &mut Store, init: &Init, skipped: &[String], now: Timestamp) {
    for object in fixed(init, skipped) {
        if let Some(resource) = resource(object["kind"].as_str().unwrap_or_default()) {
            put(store, resource, object, now);
        }
    }
    let authority = |namespace| map(namespace, "kube-root-ca.crt", json!({"ca.crt": init.certificates.authority.certificate}));
    let maps = [
        map("kube-system", "kubeadm-config", json!({"ClusterConfiguration": yaml(&configuration(init))})),
        map("kube-system", "kubelet-config", json!({"kubelet": yaml(&kubelet(init))})),
        map("kube-public", "cluster-info", json!({"kubeconfig": yaml(&kubeconfig(init))})),
        map("kube-system", "kube-proxy", json!({"config.conf": yaml(&kube_proxy(init))})),
    ];
    for map in maps.into_iter().chain(["default", "kube-node-lease", "kube-public", "kube-system"].map(authority)) {
        put(store, "configmaps", map, now);
    }
    tokens::make(store, &init.tokens, now);
}

/// The version that a joining machine is to fit, as ConfigMap kubeadm-config tells it now.
pub fn version(store: &Store) -> Option<Version> {
    let map = store.get("configmaps", "kube-system", "kubeadm-config")?.value();
    let configuration: Value = yaml_serde::from_str(map["data"]["ClusterConfiguration"].as_str()?).ok()?;
    guest::version(configuration["kubernetesVersion"].as_str()?)
}

fn fixed(init: &Init, skipped: &[String]) -> Vec<Value> {
    let cluster = &init.cluster;
    let skips = |phase: &str| skipped.iter().any(|skipped| skipped == phase || skipped == "addon");
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let registry = or(&cluster.image_repository, REGISTRY);
    // Below the default registry CoreDNS has a folder of its own.
    let dns_registry = match cluster.dns.image_repository.as_str() {
        "" if registry == REGISTRY => format!("{REGISTRY}/coredns"),
        "" => registry.clone(),
        own => own.to_owned(),
    };
    let text = TEMPLATE
        .replace("@REGISTRY@", &registry)
        .replace("@VERSION@", &or(&cluster.kubernetes_version, "v1.36.0").replace('+', "_"))
        .replace("@DNS_REGISTRY@", &dns_registry)
        .replace("@DNS_TAG@", &or(&cluster.dns.image_tag, DNS_TAG))
        .replace("@DOMAIN@", &or(&cluster.networking.dns_domain, "cluster.local"))
        .replace("@SERVICE_10@", &service(init, 10))
        .replace("@SERVICE_1@", &service(init, 1));
    let no_proxy = cluster.proxy.disabled || skips("addon/kube-proxy");
    let no_dns = cluster.dns.disabled || skips("addon/coredns");
    let left_out = |document: &str| (no_proxy && document.starts_with("# kube-proxy\n")) || (no_dns && document.starts_with("# coredns\n"));
    let documents = text.split("\n---\n").filter(|document| !left_out(document));
    // The text is ours but for names; what does not parse because of one is left out, and a test sees to the rest.
    documents
        .filter_map(|document| Value::deserialize(yaml_serde::Deserializer::from_str(document)).ok())
        .filter(Value::is_object)
        .collect()
}

/// The resource of a kind in the fixed part.
fn resource(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "Namespace" => "namespaces",
        "ServiceAccount" => "serviceaccounts",
        "Service" => "services",
        "ConfigMap" => "configmaps",
        "Role" => "roles.rbac.authorization.k8s.io",
        "RoleBinding" => "rolebindings.rbac.authorization.k8s.io",
        "ClusterRole" => "clusterroles.rbac.authorization.k8s.io",
        "ClusterRoleBinding" => "clusterrolebindings.rbac.authorization.k8s.io",
        "DaemonSet" => "daemonsets.apps",
        "Deployment" => "deployments.apps",
        _ => return None,
    })
}

/// An address of the service subnet.
fn service(init: &Init, number: u32) -> String {
    let subnet = init.cluster.networking.service_subnet.split(['/', ',']).next().unwrap_or_default();
    match subnet.parse() {
        Ok(IpAddr::V4(base)) => std::net::Ipv4Addr::from(u32::from(base).wrapping_add(number)).to_string(),
        Ok(IpAddr::V6(base)) => std::net::Ipv6Addr::from(u128::from(base).wrapping_add(number.into())).to_string(),
        Err(_) => format!("10.96.0.{number}"),
    }
}

/// The configuration with kubeadm's defaults, in its own version.
fn configuration(init: &Init) -> Value {
    let mut value = json!({
        "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": "kubernetes", "imageRepository": REGISTRY, "kubernetesVersion": init.cluster.kubernetes_version,
        "networking": {"dnsDomain": "cluster.local", "serviceSubnet": "10.96.0.0/12"},
        "apiServer": {}, "controllerManager": {}, "scheduler": {}, "dns": {}, "proxy": {},
    });
    merge(&mut value, &init.cluster.document);
    if value["etcd"].as_object().is_none_or(serde_json::Map::is_empty) {
        value["etcd"] = json!({"local": {"dataDir": "/var/lib/etcd"}});
    }
    value
}

fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(map), Value::Object(more)) = (&mut *into, from) else {
        *into = from.clone();
        return;
    };
    for (key, value) in more {
        match map.get_mut(key).filter(|there| there.is_object() && value.is_object()) {
            Some(there) => merge(there, value),
            None => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
}

fn kubelet(init: &Init) -> Value {
    let domain = &init.cluster.networking.dns_domain;
    let mut value = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "systemd", "rotateCertificates": true,
        "clusterDomain": if domain.is_empty() { "cluster.local" } else { domain }, "clusterDNS": [service(init, 10)],
        "staticPodPath": "/etc/kubernetes/manifests",
    });
    if let Some(own) = &init.kubelet {
        merge(&mut value, own);
    }
    value
}

fn kube_proxy(init: &Init) -> Value {
    let mut value = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "clusterCIDR": init.cluster.networking.pod_subnet,
    });
    if let Some(own) = &init.kube_proxy {
        merge(&mut value, own);
    }
    value
}

fn kubeconfig(init: &Init) -> Value {
    let cluster = json!({
        "certificate-authority-data": STANDARD.encode(&init.certificates.authority.certificate), "server": format!("https://{}", init.endpoint),
    });
    json!({
        "apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}],
        "contexts": null, "current-context": "", "preferences": {}, "users": null,
    })
}

fn map(namespace: &str, name: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data})
}

fn yaml(value: &Value) -> String {
    yaml_serde::to_string(value).unwrap_or_default()
}
