//! Arbitrary objects, as the API server could hold them.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Map, Value, json};

use super::{NEW, OLD};

/// A field that may be absent.
type Field = (&'static str, BoxedStrategy<Option<Value>>);

fn maybe(name: &'static str, value: impl Strategy<Value = Value> + 'static) -> Field {
    (name, of(value).boxed())
}

fn always(name: &'static str, value: impl Strategy<Value = Value> + 'static) -> Field {
    (name, value.prop_map(Some).boxed())
}

fn object(fields: Vec<Field>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
    let zip = move |values: Vec<Option<Value>>| {
        let fields = names.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), value?)));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    values.prop_map(zip).boxed()
}

fn word() -> BoxedStrategy<Value> {
    "[a-z/~.:0-9]{1,12}".prop_map(Value::from).boxed()
}

fn text() -> BoxedStrategy<Value> {
    "[ -~é]{0,12}".prop_map(Value::from).boxed()
}

fn map() -> BoxedStrategy<Value> {
    btree_map("[a-z/~]{1,8}", "[a-z]{0,3}", 1..3).prop_map(|map| json!(map)).boxed()
}

fn list(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    vec(item, 1..3).prop_map(Value::from).boxed()
}

fn flag() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(Value::from).boxed()
}

fn one_of(words: &'static [&'static str]) -> BoxedStrategy<Value> {
    proptest::sample::select(words).prop_map(Value::from).boxed()
}

fn number(range: std::ops::RangeInclusive<i64>) -> BoxedStrategy<Value> {
    range.prop_map(Value::from).boxed()
}

fn time() -> BoxedStrategy<Value> {
    (0..60u8).prop_map(|second| json!(format!("2026-01-02T03:04:{second:02}Z"))).boxed()
}

fn keys() -> BoxedStrategy<Value> {
    list(object(vec![always("user", text()), always("authorizedKeys", list(text()))]))
}

fn machine_spec(provider_id: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let volume = || {
        let fields = vec![
            always("id", word()),
            maybe("image", text()),
            always("readOnly", flag()),
            maybe("mountPoint", text()),
            maybe("virtiofsPath", text()),
        ];
        object(fields)
    };
    let file = || object(vec![always("image", word()), maybe("filename", text())]);
    let interface = vec![
        always("guestDeviceName", word()),
        always("type", one_of(&["tap", "macvtap"])),
        maybe("guestMac", text()),
        maybe("address", text()),
    ];
    object(vec![
        maybe("provider", text()),
        always("vcpu", number(1..=i64::MAX)),
        always("memoryMb", number(1024..=i64::MAX)),
        always("rootVolume", volume()),
        maybe("volumes", list(volume())),
        always("kernel", file()),
        maybe("kernelCmdline", map()),
        maybe("initrd", file()),
        always("networkInterfaces", list(object(interface))),
        maybe("labels", map()),
        maybe("sshPublicKeys", keys()),
        maybe("providerID", provider_id),
    ])
}

fn cluster_spec(endpoint: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let host = vec![maybe("name", text()), always("endpoint", text()), always("controlplaneAllowed", flag())];
    let pool = vec![always("hosts", list(object(host))), maybe("basicAuthSecret", text())];
    object(vec![
        maybe("controlPlaneEndpoint", endpoint),
        maybe("sshPublicKeys", keys()),
        always("placement", object(vec![maybe("staticPool", object(pool))])),
        maybe("microvmProxy", object(vec![always("endpoint", text())])),
        maybe("tlsSecretRef", text()),
    ])
}

fn load_balancer(conditions: BoxedStrategy<Value>) -> [BoxedStrategy<Value>; 2] {
    let endpoint = object(vec![always("host", text()), always("port", number(1..=65_535))]);
    let spec = object(vec![always("endpoint", endpoint), always("clusterName", text())]);
    [spec, object(vec![always("ready", flag()), maybe("conditions", conditions)])]
}

fn addresses() -> BoxedStrategy<Value> {
    let types = one_of(&["Hostname", "ExternalIP", "InternalIP", "ExternalDNS", "InternalDNS"]);
    list(object(vec![always("type", types), always("address", word())]))
}

fn old_conditions() -> BoxedStrategy<Value> {
    let condition = vec![
        always("type", one_of(&["Ready", "MicrovmReady", "LoadBalancerAvailable", "a b", "Paused"])),
        always("status", one_of(&["True", "False", "Unknown", "Maybe"])),
        maybe("severity", one_of(&["", "Error", "Info", "Warning"])),
        always("lastTransitionTime", time()),
        maybe("reason", one_of(&["MicrovmPending", "two words", "MachineFailed"])),
        maybe("message", one_of(&["m", "é"])),
    ];
    list(object(condition))
}

/// Each type once, in the order conditions are kept in.
fn new_conditions() -> BoxedStrategy<Value> {
    let condition = |type_: String| {
        let fields = vec![
            always("type", Just(Value::from(type_))),
            always("status", one_of(&["True", "False", "Unknown"])),
            always("lastTransitionTime", time()),
            always("reason", Union::new([one_of(&["Ready", "MachineFailed"]), Just(json!("R".repeat(300))).boxed()])),
            always("message", Union::new([text(), Just(json!("é".repeat(10_241))).boxed()])),
            maybe("observedGeneration", number(0..=9)),
        ];
        object(fields)
    };
    let types = ["Ready".to_owned(), format!("a{}", "b".repeat(299)), "Paused".to_owned()];
    proptest::sample::subsequence(types.to_vec(), 1..=3)
        .prop_flat_map(move |types| types.into_iter().map(condition).collect::<Vec<_>>())
        .prop_map(Value::from)
        .boxed()
}

fn whole(
    api_version: &'static str,
    kind: &'static str,
    spec: BoxedStrategy<Value>,
    status: Option<BoxedStrategy<Value>>,
) -> BoxedStrategy<Value> {
    let mut metadata = vec![always("name", word()), maybe("annotations", map()), maybe("labels", map())];
    metadata.push(maybe("generation", number(1..=9)));
    let mut fields = vec![
        always("apiVersion", Just(Value::from(api_version))),
        always("kind", Just(Value::from(kind))),
        always("metadata", object(metadata)),
        always("spec", spec),
    ];
    fields.extend(status.map(|status| maybe("status", status)));
    object(fields)
}

fn template_spec(metadata: BoxedStrategy<Value>, spec: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    object(vec![always("template", object(vec![maybe("metadata", metadata), always("spec", spec)]))])
}

/// Any object of `v1alpha1`.
pub fn old() -> BoxedStrategy<Value> {
    let id = || Union::new([text(), Just(json!("x".repeat(513))).boxed()]).boxed();
    let endpoint = || object(vec![always("host", text()), always("port", number(-1..=70_000))]);
    let domain = object(vec![maybe("controlPlane", flag()), maybe("attributes", map())]);
    let domains = btree_map(Union::new(["[a-z/~:]{0,6}".boxed(), Just("x".repeat(257)).boxed()]), domain, 1..4).prop_map(|map| json!(map));
    let cluster = vec![always("ready", flag()), maybe("conditions", old_conditions()), maybe("failureDomains", domains)];
    let machine = vec![
        always("ready", flag()),
        maybe("vmState", one_of(&["pending", "running", "failed", "deleted", "unknown", "strange"])),
        maybe("addresses", addresses()),
        maybe("failureReason", text()),
        maybe("failureMessage", text()),
        maybe("conditions", old_conditions()),
    ];
    let metadata = || object(vec![maybe("labels", map()), maybe("annotations", map())]);
    let [spec, status] = load_balancer(old_conditions());
    Union::new([
        whole(OLD, "MicrovmCluster", cluster_spec(endpoint()), Some(object(cluster))),
        whole(OLD, "MicrovmClusterTemplate", template_spec(metadata(), cluster_spec(endpoint())), None),
        whole(OLD, "MicrovmMachine", machine_spec(id()), Some(object(machine))),
        whole(OLD, "MicrovmMachineTemplate", template_spec(metadata(), machine_spec(id())), None),
        whole(OLD, "ExternalLoadBalancer", spec, Some(status)),
    ])
    .boxed()
}

/// Any object of `v1alpha2`.
pub fn new() -> BoxedStrategy<Value> {
    let host = || always("host", word());
    let port = || always("port", number(1..=65_535));
    let endpoint = || Union::new([object(vec![host()]), object(vec![port()]), object(vec![host(), port()])]).boxed();
    let marks = || object(vec![always("provisioned", flag())]);
    let domains = btree_map("[a-z/~:]{1,6}", (of(any::<bool>()), of(map())), 1..4).prop_map(|domains| {
        let list = domains.into_iter().map(|(name, (control_plane, attributes))| {
            let mut domain = json!({"name": name});
            let fields = [("controlPlane", control_plane.map(Value::from)), ("attributes", attributes)];
            for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                domain[name] = value;
            }
            domain
        });
        list.collect::<Value>()
    });
    let cluster = vec![maybe("initialization", marks()), maybe("failureDomains", domains), maybe("conditions", new_conditions())];
    let machine = vec![
        maybe("initialization", marks()),
        maybe("failureDomain", word()),
        maybe("addresses", addresses()),
        maybe("conditions", new_conditions()),
        maybe("vmState", one_of(&["pending", "running", "failed", "deleted", "unknown"])),
    ];
    let node = object(vec![always("architecture", one_of(&["amd64", "arm64"])), maybe("operatingSystem", text())]);
    let template = vec![maybe("capacity", Just(json!({"cpu": "2", "memory": "1Gi"}))), maybe("nodeInfo", node)];
    let metadata = || {
        let labels = object(vec![always("labels", map())]);
        Union::new([labels, object(vec![maybe("labels", map()), always("annotations", map())])]).boxed()
    };
    let [spec, status] = load_balancer(new_conditions());
    Union::new([
        whole(NEW, "MicrovmCluster", cluster_spec(endpoint()), Some(object(cluster))),
        whole(NEW, "MicrovmClusterTemplate", template_spec(metadata(), cluster_spec(endpoint())), None),
        whole(NEW, "MicrovmMachine", machine_spec(word()), Some(object(machine))),
        whole(NEW, "MicrovmMachineTemplate", template_spec(metadata(), machine_spec(word())), Some(object(template))),
        whole(NEW, "ExternalLoadBalancer", spec, Some(status)),
    ])
    .boxed()
}
