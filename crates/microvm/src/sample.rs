//! Objects for tests.

use serde_json::json;

use crate::api::v1alpha2::{ExternalLoadBalancer, MicrovmCluster, MicrovmClusterTemplate, MicrovmMachine, MicrovmMachineTemplate};

pub const API_VERSION: &str = "infrastructure.cluster.x-k8s.io/v1alpha2";

pub fn machine_spec() -> serde_json::Value {
    json!({
        "vcpu": 2,
        "memoryMb": 2048,
        "rootVolume": {"id": "root", "image": "ghcr.io/example/capmvm-kubernetes:1.33.1"},
        "volumes": [
            {"id": "modules", "image": "ghcr.io/example/kernel-modules:5.10.77", "mountPoint": "/lib/modules/5.10.77", "readOnly": true},
            {"id": "shared", "virtiofsPath": "/srv/shared"},
        ],
        "kernel": {"image": "ghcr.io/example/kernel-bin:5.10.77", "filename": "boot/vmlinux"},
        "kernelCmdline": {"quiet": ""},
        "networkInterfaces": [
            {"guestDeviceName": "eth1", "type": "tap", "address": "10.1.0.5/24"},
            {"guestDeviceName": "eth2", "type": "macvtap", "guestMac": "AA:FF:00:00:00:02"},
        ],
        "labels": {"rack": "7"},
    })
}

pub fn machine() -> MicrovmMachine {
    serde_json::from_value(json!({
        "apiVersion": API_VERSION,
        "kind": "MicrovmMachine",
        "metadata": {"name": "mvm-control-plane-x7k2p", "namespace": "team-a", "uid": "5f1c"},
        "spec": machine_spec(),
    }))
    .unwrap()
}

pub fn cluster() -> MicrovmCluster {
    serde_json::from_value(json!({
        "apiVersion": API_VERSION,
        "kind": "MicrovmCluster",
        "metadata": {"name": "mvm", "namespace": "team-a"},
        "spec": {
            "controlPlaneEndpoint": {"host": "10.0.0.100", "port": 6443},
            "sshPublicKeys": [{"user": "root", "authorizedKeys": ["ssh-ed25519 AAAA me@home"]}],
            "placement": {"staticPool": {"hosts": [
                {"name": "one", "endpoint": "10.0.0.1:9090"},
                {"endpoint": "10.0.0.2:9090", "controlplaneAllowed": false},
            ]}},
        },
    }))
    .unwrap()
}

pub fn cluster_template() -> MicrovmClusterTemplate {
    serde_json::from_value(json!({
        "apiVersion": API_VERSION,
        "kind": "MicrovmClusterTemplate",
        "metadata": {"name": "mvm", "namespace": "team-a"},
        "spec": {"template": {"metadata": {"labels": {"site": "north"}}, "spec": cluster().spec}},
    }))
    .unwrap()
}

pub fn template() -> MicrovmMachineTemplate {
    serde_json::from_value(json!({
        "apiVersion": API_VERSION,
        "kind": "MicrovmMachineTemplate",
        "metadata": {"name": "mvm-md-0", "namespace": "team-a"},
        "spec": {"template": {"metadata": {"labels": {"tier": "worker"}}, "spec": machine_spec()}},
    }))
    .unwrap()
}

pub fn load_balancer() -> ExternalLoadBalancer {
    serde_json::from_value(json!({
        "apiVersion": API_VERSION,
        "kind": "ExternalLoadBalancer",
        "metadata": {"name": "front", "namespace": "team-a", "generation": 1},
        "spec": {"endpoint": {"host": "10.0.0.100"}, "clusterName": "mvm"},
    }))
    .unwrap()
}
