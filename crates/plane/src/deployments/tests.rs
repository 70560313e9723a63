mod explored;

use k8s_openapi::api::core::v1::Container;
use serde::Deserialize;

use super::*;
use crate::builtin;

/// Our own release, whose Deployment no cert-manager helps.
const OWN: &str = include_str!("../../../../deploy/microvm/infrastructure-components.yaml");
/// Cluster API's core as clusterctl installs it: its variables are filled in.
const CORE: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: capi-controller-manager, namespace: capi-system, uid: some-uid, generation: 1}
spec:
  replicas: 1
  selector: {matchLabels: {cluster.x-k8s.io/provider: cluster-api}}
  template:
    metadata: {labels: {cluster.x-k8s.io/provider: cluster-api, control-plane: controller-manager}}
    spec:
      serviceAccountName: capi-manager
      containers:
      - name: manager
        image: registry.k8s.io/cluster-api/cluster-api-controller:v1.14.2
        command: [/manager]
        args:
        - --leader-elect
        - --diagnostics-address=:8443
        - --insecure-diagnostics=false
        - --webhook-port
        - '9443'
        - --feature-gates=MachinePool=true,ClusterTopology=false
        - --password=$ecret
        env:
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
        - {name: PRICE, value: 1$}
---
apiVersion: v1
kind: Service
metadata: {name: capi-webhook-service, namespace: capi-system}
spec: {selector: {cluster.x-k8s.io/provider: cluster-api}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: capi-serving-cert, namespace: capi-system, generation: 1}
spec: {secretName: capi-webhook-service-cert, dnsNames: [capi-webhook-service.capi-system.svc]}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: capi-selfsigned-issuer, namespace: capi-system, generation: 1}
spec: {selfSigned: {}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusters.cluster.x-k8s.io, resourceVersion: '7'}
spec:
  conversion:
    strategy: Webhook
    webhook: {clientConfig: {service: {name: capi-webhook-service, namespace: capi-system, path: /convert, port: 443}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: capi-validating, resourceVersion: '8', annotations: {cert-manager.io/inject-ca-from: capi-system/capi-serving-cert}}
webhooks:
- {name: one, clientConfig: {service: {name: capi-webhook-service, namespace: capi-system, path: /one, port: 443}}}
- {name: two, clientConfig: {service: {name: of-somebody-else, namespace: capi-system, path: /two, port: 443}}}
";

fn documents(text: &str) -> Vec<Value> {
    yaml_serde::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// Everything in the API, and no process.
fn seen(text: &str) -> Observed {
    let mut seen = Observed::default();
    for object in documents(text) {
        match object["kind"].as_str().unwrap() {
            "Deployment" => seen.deployments.push(serde_json::from_value(object).unwrap()),
            "Service" => seen.services.push(serde_json::from_value(object).unwrap()),
            "Certificate" | "Issuer" => seen.certificates.push(object),
            "CustomResourceDefinition" | "ValidatingWebhookConfiguration" => seen.callers.push(object),
            _ => (),
        }
    }
    seen
}

fn wish() -> Wish {
    Wish { known: builtin::runnable().unwrap(), authority: "ca".into(), ..Wish::default() }
}

fn plan(wish: &Wish, seen: &Observed) -> Vec<Step> {
    Keeping::plan(wish, seen, "2026-01-02T03:04:05.678Z".parse().unwrap()).steps
}

/// What the API server holds after these steps, and what runs after them.
fn apply(seen: &mut Observed, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Issue { namespace, secret, .. } => {
                seen.secrets.insert((namespace.clone(), secret.clone()));
            }
            Step::Tell { object, patch } if object.kind == "Deployment" => {
                let is = |deployment: &&mut Deployment| deployment.metadata.name.as_deref() == Some(&object.name);
                let deployment = seen.deployments.iter_mut().find(is).unwrap();
                deployment.status = serde_json::from_value(patch["status"].clone()).unwrap();
            }
            Step::Tell { object, patch } => {
                let certificate = seen.certificates.iter_mut().find(|other| Object::of(other) == *object).unwrap();
                certificate["status"] = patch["status"].clone();
            }
            Step::Call { object, patch } => {
                let caller = seen.callers.iter_mut().find(|caller| Object::of(caller) == *object).unwrap();
                patch.as_array().unwrap().iter().for_each(|operation| change(caller, operation));
            }
        }
    }
}

/// One operation of a JSON patch, as far as they are used.
fn change(object: &mut Value, operation: &Value) {
    let (parent, name) = operation["path"].as_str().unwrap().rsplit_once('/').unwrap();
    let name = name.replace("~1", "/");
    let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match operation["op"].as_str().unwrap() {
        "test" => assert_eq!(parent[&name], operation["value"]),
        "remove" => drop(parent.remove(&name).unwrap()),
        op => {
            assert!(op == "add" || parent.contains_key(&name), "{operation}");
            parent.insert(name, operation["value"].clone());
        }
    }
}

fn config(seen: &Observed, at: usize, place: &str) -> Value {
    seen.callers[at].pointer(place).unwrap().clone()
}

fn containers(seen: &mut Observed) -> &mut Vec<Container> {
    &mut seen.deployments[0].spec.as_mut().unwrap().template.spec.as_mut().unwrap().containers
}

#[test]
fn a_known_image_becomes_a_component() {
    let [component] = &wished(&wish(), &seen(CORE))[..] else { panic!() };
    let known = builtin::components(None).unwrap().into_iter().find(|component| component.name == "capi-core").unwrap();
    assert_eq!(component.name, "capi-controller-manager");
    assert_eq!((&component.binary, &component.ports, &component.ready), (&known.binary, &known.ports, &known.ready));
    assert_eq!(component.user.as_ref().unwrap().name, "system:serviceaccount:capi-system:capi-manager");
    // Places are the plane's, choices the Deployment's; and of another's Lease nobody knows the namespace.
    let args = [
        "--insecure-diagnostics=false",
        "--feature-gates=MachinePool=true,ClusterTopology=false",
        "--password=$$ecret",
        "--kubeconfig=${KUBECONFIG}",
        "--webhook-port=${PORT_WEBHOOK}",
        "--webhook-cert-dir=${CERTS}",
        "--health-addr=127.0.0.1:${PORT_HEALTH}",
        "--diagnostics-address=127.0.0.1:${PORT_DIAGNOSTICS}",
    ];
    assert_eq!(component.args, args);
    let env: Vec<(&str, &str)> = component.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [("POD_NAME", "capi-controller-manager"), ("POD_NAMESPACE", "capi-system"), ("POD_UID", "some-uid"), ("PRICE", "1$$")];
    assert_eq!(env, expected);
    assert_eq!((&component.objects, &component.provider), (&None, &None), "clusterctl brings these");
}

#[test]
fn our_own_release_becomes_this_program() {
    let [component] = &wished(&wish(), &seen(OWN))[..] else { panic!() };
    assert!(component.binary.itself);
    let args = [
        "manager",
        "--provider=microvm",
        "--leader-elect",
        "--leader-election-namespace=capmvm-system",
        "--kubeconfig=${KUBECONFIG}",
        "--webhook-address=127.0.0.1:${PORT_WEBHOOK}",
        "--webhook-cert-dir=${CERTS}",
        "--health-addr=127.0.0.1:${PORT_HEALTH}",
        "--diagnostics-address=127.0.0.1:${PORT_DIAGNOSTICS}",
    ];
    assert_eq!(component.args, args);
}

#[test]
fn versions_of_images() {
    let with = |image: &str| {
        let mut seen = seen(CORE);
        containers(&mut seen)[0].image = Some(image.into());
        component(&seen.deployments[0], &wish().known).map(|component| component.binary)
    };
    let core = |version: &str| builtin::components(Some(version)).unwrap().remove(3).binary;
    // Another registry is another place for the same release.
    assert_eq!(with("example.com:5000/mine/cluster-api-controller:v1.14.2"), Ok(core("1.14")));
    assert_eq!(with("registry.k8s.io/cluster-api/cluster-api-controller:v1.13.6"), Ok(core("1.13")));
    // What is not built in comes out of its image.
    let other = with("example.com/cluster-api-controller:v1.14.0").unwrap();
    let reference = other.image.unwrap().reference;
    assert_eq!((other.version.as_str(), other.go, reference.as_str()), ("v1.14.0", None, "example.com/cluster-api-controller:v1.14.0"));
    assert_eq!(
        with("example.com/cluster-api-controller@sha256:12").unwrap().image.unwrap().reference,
        "example.com/cluster-api-controller@sha256:12"
    );
    for unknown in ["example.com/other:v1.14.2", "capstead:v1", ""] {
        assert_eq!(with(unknown), Err(NotRun::Image(unknown.into())));
    }
}

#[test]
fn what_a_process_cannot_have_is_told() {
    let mut seen = seen(CORE);
    let mut second = seen.deployments[0].clone();
    second.metadata.namespace = Some("other".into());
    seen.deployments.push(second);
    let errors = |seen: &Observed| programs(&wish(), seen).into_iter().map(|program| program.component.err()).collect::<Vec<_>>();
    assert_eq!(errors(&seen), [None, Some(NotRun::Taken("capi-controller-manager".into()))]);
    let secret = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}});
    containers(&mut seen)[0].env = Some(vec![serde_json::from_value(secret).unwrap()]);
    assert_eq!(errors(&seen), [Some(NotRun::Variable("TOKEN".into())), None]);
    containers(&mut seen).clear();
    assert_eq!(errors(&seen), [Some(NotRun::Empty), None]);
    let message = plan(&wish(), &seen).iter().find_map(|step| match step {
        Step::Tell { object, patch } if object.namespace == "capi-system" && object.kind == "Deployment" => {
            Some(patch["status"]["conditions"][1]["message"].clone())
        }
        _ => None,
    });
    assert_eq!(message.unwrap(), "The plane does not run it: it has no container.");
}

/// From `clusterctl init` to an upgrade: at each rest what must be so, and nothing left to do.
#[test]
fn the_api_server_is_told_what_runs() {
    const NAME: &str = "capi-controller-manager";
    let (mut wish, mut seen) = (wish(), seen(CORE));
    let rest = |wish: &Wish, seen: &mut Observed| {
        let steps = plan(wish, seen);
        apply(seen, &steps);
        assert_eq!(plan(wish, seen), [], "one pass is enough");
        steps
    };
    let available = |seen: &Observed| {
        let status = seen.deployments[0].status.clone().unwrap();
        let conditions = status.conditions.unwrap();
        (conditions[0].status.clone(), status.replicas, status.ready_replicas, status.observed_generation)
    };
    let call = ["/spec/conversion/webhook/clientConfig", "/webhooks/0/clientConfig", "/webhooks/1/clientConfig"];
    let before = [config(&seen, 0, call[0]), config(&seen, 1, call[1]), config(&seen, 1, call[2])];

    // It has no port yet.
    let steps = rest(&wish, &mut seen);
    let names = vec!["capi-webhook-service.capi-system.svc".to_owned()];
    let secret = "capi-webhook-service-cert".to_owned();
    assert_eq!(steps[0], Step::Issue { namespace: "capi-system".into(), secret, names });
    assert_eq!(seen.certificates[1]["status"]["conditions"][0]["status"], "True");
    assert_eq!(available(&seen), ("False".into(), Some(1), Some(0), Some(1)));

    // Its webhooks are called before it is ready: what it reads may have to be converted by itself.
    wish.webhooks.insert(NAME.into(), 12_345);
    seen.processes.insert(NAME.into(), Process { running: true, ready: false });
    rest(&wish, &mut seen);
    assert_eq!(config(&seen, 0, call[0]), json!({"url": "https://127.0.0.1:12345/convert", "caBundle": "Y2E="}));
    assert_eq!(config(&seen, 1, call[1])["url"], "https://127.0.0.1:12345/one");
    assert_eq!(config(&seen, 1, call[2]), before[2], "somebody else's");
    seen.processes.insert(NAME.into(), Process { running: true, ready: true });
    rest(&wish, &mut seen);
    assert_eq!(available(&seen), ("True".into(), Some(1), Some(1), Some(1)));
    // Another port, as after the plane was down.
    wish.webhooks.insert(NAME.into(), 23_456);
    rest(&wish, &mut seen);
    assert_eq!(config(&seen, 1, call[1])["url"], "https://127.0.0.1:23456/one");

    // clusterctl scales it down, and goes on when it is told to be at 0: by then the Services must be there.
    let spec = seen.deployments[0].spec.as_mut().unwrap();
    spec.replicas = Some(0);
    assert_eq!(wished(&wish, &seen), []);
    rest(&wish, &mut seen);
    assert_eq!(available(&seen).1, Some(1), "while it runs");
    assert!(config(&seen, 0, call[0])["url"].is_string());
    seen.processes.remove(NAME);
    let steps = rest(&wish, &mut seen);
    let is_call = |step: &Step| matches!(step, Step::Call { .. });
    assert!(steps[..2].iter().all(is_call) && matches!(&steps[2..], [Step::Tell { .. }]), "{steps:#?}");
    assert_eq!((config(&seen, 0, call[0]), config(&seen, 1, call[1])), (before[0].clone(), before[1].clone()));
    assert_eq!(seen.callers[0]["metadata"]["annotations"], json!({}));
    assert_eq!(available(&seen), ("True".into(), Some(0), Some(0), Some(1)));
}

/// `clusterctl delete` leaves definitions behind, whose Deployment and Service are gone.
#[test]
fn definitions_outlive_their_deployment() {
    let (mut wish, mut seen) = (wish(), seen(CORE));
    wish.webhooks.insert("capi-controller-manager".into(), 12_345);
    let before = seen.callers.clone();
    let steps = plan(&wish, &seen);
    apply(&mut seen, &steps);
    assert_ne!(seen.callers, before);
    (seen.deployments, seen.services) = (Vec::new(), Vec::new());
    let steps = plan(&wish, &seen);
    apply(&mut seen, &steps);
    let config = |callers: &[Value]| callers[0]["spec"].clone();
    assert_eq!(config(&seen.callers), config(&before));
    assert_eq!(plan(&wish, &seen), []);
}
