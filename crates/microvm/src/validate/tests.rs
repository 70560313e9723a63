use capstead_capi::types::ProviderId;

use super::*;
use crate::sample;

fn fields(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|known| known.field.as_str()).collect()
}

#[test]
fn the_samples_break_no_rule() {
    assert_eq!(validate_cluster(&sample::cluster()), []);
    assert_eq!(validate_machine(&sample::machine(), None), []);
    assert_eq!(validate_machine_template(&sample::template(), None, false), []);
    assert_eq!(validate_load_balancer(&sample::load_balancer()), []);
}

#[test]
fn a_load_balancer_is_a_name_or_an_address_and_for_a_cluster() {
    let with = |change: &dyn Fn(&mut ExternalLoadBalancer)| {
        let mut balancer = sample::load_balancer();
        change(&mut balancer);
        fields(&validate_load_balancer(&balancer)).join(" ")
    };
    for good in ["10.0.0.100", "fd00::1", "lb.example.com", "lb"] {
        assert_eq!(with(&|balancer| balancer.spec.endpoint.host = good.into()), "", "{good}");
    }
    for bad in ["", "https://lb", "lb:6443", "[fd00::1]", "10.0.0.100/24", "a b", "lb/"] {
        assert_eq!(with(&|balancer| balancer.spec.endpoint.host = bad.into()), "spec.endpoint.host", "{bad}");
    }
    assert_eq!(with(&|balancer| balancer.spec.endpoint.port = 0), "spec.endpoint.port");
    assert_eq!(with(&|balancer| balancer.spec.cluster_name.clear()), "spec.clusterName");
}

#[test]
fn a_cluster_without_placement_is_told_so_in_upstreams_words() {
    let mut cluster = sample::cluster();
    cluster.spec.placement.static_pool = None;
    let [violation] = validate_cluster(&cluster).try_into().unwrap();
    assert_eq!(violation.field, "spec.placement");
    assert!(violation.rule.contains("you must supply configuration for a placement option"), "{violation}");
}

#[test]
fn each_host_is_a_host_and_a_port_and_there_once() {
    let with = |endpoints: &[&str]| {
        let mut cluster = sample::cluster();
        let pool = cluster.spec.placement.static_pool.as_mut().unwrap();
        let host = pool.hosts[0].clone();
        pool.hosts = endpoints.iter().map(|endpoint| crate::api::common::Host { endpoint: (*endpoint).into(), ..host.clone() }).collect();
        validate_cluster(&cluster)
    };
    let at = |at: usize| format!("spec.placement.staticPool.hosts[{at}].endpoint");
    assert_eq!(fields(&with(&[])), ["spec.placement.staticPool.hosts"]);
    assert_eq!(with(&["10.0.0.1:9090", "[fd00::1]:9090", "host.example:1"]), []);
    for bad in ["", "host", "http://host:9090", "host:0", "host:99999", "me@host:9090"] {
        assert_eq!(fields(&with(&["a:1", bad])), [at(1)], "{bad}");
    }
    assert_eq!(fields(&with(&["a:1", "b:1", "a:1"])), [at(2)]);
    assert_eq!(fields(&with(&[&format!("{}:1", "a".repeat(255))])), [at(0)]);
}

#[test]
fn what_every_host_refuses_is_refused_at_once() {
    let with = |change: fn(&mut VmSpec)| {
        let (mut machine, mut template) = (sample::machine(), sample::template());
        change(&mut machine.spec.vm);
        change(&mut template.spec.contract.template.spec.vm);
        let of_machine = validate_machine(&machine, None);
        let of_template = validate_machine_template(&template, None, false);
        let fields: Vec<_> = of_machine.iter().map(|known| known.field.strip_prefix("spec.").unwrap().to_owned()).collect();
        let of_template: Vec<_> =
            of_template.iter().map(|known| known.field.strip_prefix("spec.template.spec.").unwrap().to_owned()).collect();
        assert_eq!(fields, of_template);
        fields
    };
    let cases: Vec<(Vec<String>, &[&str])> = vec![
        (with(|vm| vm.vcpu = 64), &[]),
        (with(|vm| vm.vcpu = 65), &["vcpu"]),
        (with(|vm| vm.vcpu = 0), &["vcpu"]),
        (with(|vm| vm.memory_mb = 1023), &["memoryMb"]),
        (with(|vm| vm.memory_mb = 32769), &["memoryMb"]),
        (with(|vm| vm.kernel.image.clear()), &["kernel.image"]),
        (with(|vm| vm.kernel.filename = None), &["kernel.filename"]),
        (with(|vm| vm.network_interfaces.clear()), &["networkInterfaces"]),
        (with(|vm| vm.network_interfaces[1].guest_device_name = "eth-2".into()), &["networkInterfaces[1].guestDeviceName"]),
        (with(|vm| vm.network_interfaces[1].guest_device_name = "2eth".into()), &["networkInterfaces[1].guestDeviceName"]),
        (with(|vm| vm.network_interfaces[0].guest_mac = Some("aa-bb-cc-dd-ee-ff".into())), &[]),
        (with(|vm| vm.network_interfaces[0].guest_mac = Some("aabb.ccdd.eeff".into())), &[]),
        (with(|vm| vm.network_interfaces[0].guest_mac = Some("aa:bb:cc:dd:ee".into())), &["networkInterfaces[0].guestMac"]),
        (with(|vm| vm.network_interfaces[0].address = Some("fd00::5/64".into())), &[]),
        (with(|vm| vm.network_interfaces[0].address = Some("10.1.0.5".into())), &["networkInterfaces[0].address"]),
        (with(|vm| vm.network_interfaces[0].address = Some("10.1.0.5/33".into())), &["networkInterfaces[0].address"]),
        (with(|vm| vm.network_interfaces[0].address = Some("10.1.0.5/+4".into())), &["networkInterfaces[0].address"]),
        (with(|vm| vm.volumes[0].virtiofs_path = Some("/srv".into())), &["volumes[0]", "volumes"]),
        // Upstream drops it; so do we.
        (with(|vm| vm.root_volume.virtiofs_path = Some("/srv".into())), &[]),
    ];
    for (at, (fields, expected)) in cases.into_iter().enumerate() {
        assert_eq!(fields, expected, "case {at}");
    }
}

#[test]
fn of_a_machine_only_the_provider_id_changes_and_only_once() {
    let id = |uid: &str| Some(format!("microvm://10.0.0.1:9090/{uid}").parse::<ProviderId>().unwrap());
    let with = |id: Option<ProviderId>, vcpu: i64| {
        let mut machine = sample::machine();
        (machine.spec.provider_id, machine.spec.vm.vcpu) = (id, vcpu);
        machine
    };
    let check = |new: &MicrovmMachine, old: &MicrovmMachine| fields(&validate_machine(new, Some(old))).join(" ");
    assert_eq!(check(&with(id("1"), 2), &with(None, 2)), "");
    assert_eq!(check(&with(id("1"), 2), &with(id("1"), 2)), "");
    assert_eq!(check(&with(id("2"), 2), &with(id("1"), 2)), "spec.providerID");
    assert_eq!(check(&with(None, 2), &with(id("1"), 2)), "spec.providerID");
    assert_eq!(check(&with(None, 4), &with(id("1"), 2)), "spec spec.providerID");
    assert_eq!(check(&with(None, 65), &with(None, 65)), "", "an object from before a rule can still lose its finalizer");
}

#[test]
fn a_template_changes_only_in_a_topology_dry_run() {
    let old = sample::template();
    let mut new = old.clone();
    new.spec.contract.template.spec.vm.vcpu = 4;
    assert_eq!(fields(&validate_machine_template(&new, Some(&old), false)), ["spec.template.spec"]);
    assert_eq!(validate_machine_template(&new, Some(&old), true), []);
    assert_eq!(validate_machine_template(&old, Some(&old), false), []);
    new.spec.contract.template.spec.vm.vcpu = 65;
    assert_eq!(fields(&validate_machine_template(&new, Some(&old), true)), ["spec.template.spec.vcpu"]);
    assert_eq!(validate_machine_template(&new, Some(&new), false), [], "an object from before a rule stays as it is");
}

#[test]
fn a_template_of_clusters_has_hosts_or_leaves_them_to_its_class() {
    let old = sample::cluster_template();
    assert_eq!(validate_cluster_template(&old, None, false), []);
    let mut new = old.clone();
    let placement = &mut new.spec.contract.template.spec.placement;
    placement.static_pool.as_mut().unwrap().hosts[0].endpoint = "no address".into();
    assert_eq!(fields(&validate_cluster_template(&new, None, false)), ["spec.template.spec.placement.staticPool.hosts[0].endpoint"]);
    new.spec.contract.template.spec.placement.static_pool = None;
    assert_eq!(validate_cluster_template(&new, None, false), []);

    assert_eq!(fields(&validate_cluster_template(&new, Some(&old), false)), ["spec.template.spec"]);
    assert_eq!(validate_cluster_template(&new, Some(&old), true), []);
    assert_eq!(validate_cluster_template(&old, Some(&old), false), []);
}

#[test]
fn a_proxy_is_a_url_or_a_host_and_a_port() {
    let with = |endpoint: &str| {
        let mut cluster = sample::cluster();
        cluster.spec.microvm_proxy = Some(crate::api::common::Proxy { endpoint: endpoint.into() });
        fields(&validate_cluster(&cluster)).join(" ")
    };
    for good in ["http://proxy:3128", "http://10.0.0.9", "proxy.example:3128", "http://[fd00::9]:3128/"] {
        assert_eq!(with(good), "", "{good}");
    }
    for bad in ["", "https://proxy:3128", "socks5://proxy:1080", "http://", "proxy:0", "http://me@proxy:3128"] {
        assert_eq!(with(bad), "spec.microvmProxy.endpoint", "{bad}");
    }
}
