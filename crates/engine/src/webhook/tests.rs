use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use http::StatusCode;
use http_body_util::BodyExt;
use kube::Client;
use kube::Config;
use kube::client::Body;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use super::ADMISSION_LIMIT;
use super::Webhooks;
use super::patch::carry;
use crate::Violation;
use crate::certificates::Certificates;
use crate::certificates::Lifetimes;
use crate::certificates::Source;
use crate::metrics::Metrics;
use crate::serve::Running;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Thing {
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    spec: Spec,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct Spec {
    size: u32,
    #[serde(default)]
    colour: String,
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct Port {
    number: u16,
    #[serde(default)]
    mac: Option<String>,
}

fn judge(new: &Thing, old: Option<&Thing>, request: &super::Request) -> Vec<Violation> {
    let mut violations = Vec::new();
    if new.spec.size == 0 {
        violations.push(Violation::new("spec.size", "must be at least 1"));
    }
    let rehearsal = request.dry_run && request.annotation("example.com/dry-run").is_some();
    if old.is_some_and(|old| old.spec != new.spec) && !rehearsal {
        violations.push(Violation::new("spec", "cannot be changed"));
    }
    violations
}

fn webhooks() -> Webhooks {
    Webhooks::new()
        .validating::<Thing>("/validate", judge)
        .validating_delete::<Thing>("/guard", |old, _| match old.spec.size {
            9 => vec![Violation::new("spec.size", "is too big to go")],
            _ => Vec::new(),
        })
        .warning::<Thing>("/validate", |thing| if thing.spec.size == 7 { vec!["spec.size: seven is unwise".into()] } else { Vec::new() })
        .mutating::<Thing>("/mutate", |thing, _| {
            for port in &mut thing.spec.ports {
                port.mac.get_or_insert_with(|| format!("02:00:00:00:00:{:02x}", port.number));
            }
        })
        .conversion(|mut object: Value, version: &str| {
            match object["spec"]["size"].as_u64() {
                Some(13) => return Err("thirteen has no place there"),
                Some(14) => object["metadata"]["uid"] = json!("another"),
                _ => {}
            }
            object["apiVersion"] = json!(version);
            object["metadata"]["labels"]["converted"] = json!("yes");
            Ok(object)
        })
}

async fn certificates() -> Certificates {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    Certificates::start(Source::Memory { names, lifetimes: Lifetimes::default() }).await.unwrap()
}

async fn start(certificates: &Certificates, metrics: &Metrics) -> Running {
    webhooks().serve("127.0.0.1:0", certificates, metrics).await.unwrap().unwrap()
}

/// A client that trusts this bundle and nothing else.
fn client(address: SocketAddr, trust: &str) -> Client {
    let mut config = Config::new(format!("https://{address}").parse().unwrap());
    config.root_cert = Some(CertificateDer::pem_slice_iter(trust.as_bytes()).map(|der| der.unwrap().to_vec()).collect());
    Client::try_from(config).unwrap()
}

async fn post(client: &Client, path: &str, body: Vec<u8>) -> Result<(StatusCode, Vec<u8>), kube::Error> {
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body)).unwrap();
    let response = client.send(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes().to_vec()))
}

async fn ask(client: &Client, path: &str, body: &Value) -> Value {
    let (status, body) = post(client, path, serde_json::to_vec(body).unwrap()).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap()
}

fn review(version: &str, operation: &str, object: &Value, old: &Value) -> Value {
    json!({"apiVersion": format!("admission.k8s.io/{version}"), "kind": "AdmissionReview", "request": {
        "uid": "the-uid", "kind": {"group": "example.com", "version": "v1", "kind": "Thing"},
        "resource": {"group": "example.com", "version": "v1", "resource": "things"},
        "name": "mine", "namespace": "default", "operation": operation, "userInfo": {"username": "me"},
        "object": object, "oldObject": old, "dryRun": false, "options": null,
    }})
}

fn thing(size: u32) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "mine", "uid": "u"}, "spec": {"size": size}})
}

#[tokio::test]
async fn what_breaks_a_rule_is_invalid_with_every_cause() {
    let certificates = certificates().await;
    let metrics = Metrics::new();
    let server = start(&certificates, &metrics).await;
    let client = client(server.address(), certificates.trust().borrow().as_ref().unwrap());
    for version in ["v1", "v1beta1"] {
        let good = ask(&client, "/validate", &review(version, "CREATE", &thing(1), &Value::Null)).await;
        assert_eq!(good["apiVersion"], format!("admission.k8s.io/{version}"));
        assert_eq!(good["response"], json!({"uid": "the-uid", "allowed": true}));
    }
    let bad = ask(&client, "/validate", &review("v1", "UPDATE", &thing(0), &thing(2))).await;
    let status = &bad["response"]["status"];
    assert_eq!((&bad["response"]["allowed"], &status["code"], &status["reason"]), (&json!(false), &json!(422), &json!("Invalid")));
    assert_eq!(status["message"], "Thing.example.com \"mine\" is invalid: [spec.size must be at least 1, spec cannot be changed]");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.size");
    assert_eq!(status["details"]["causes"][1]["message"], "cannot be changed");
    let shapeless = ask(&client, "/validate", &review("v1", "CREATE", &json!({"spec": {"size": "big"}}), &Value::Null)).await;
    assert!(shapeless["response"]["status"]["message"].as_str().unwrap().contains("the object does not parse"), "{shapeless}");
    let text = metrics.text().unwrap();
    assert!(text.contains("controller_runtime_webhook_requests_total{webhook=\"/validate\",code=\"200\"} 4"), "{text}");
    server.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_is_unwise_passes_with_a_warning() {
    let certificates = certificates().await;
    let server = start(&certificates, &Metrics::new()).await;
    let client = client(server.address(), certificates.trust().borrow().as_ref().unwrap());
    let response = async |old: &Value| ask(&client, "/validate", &review("v1", "CREATE", &thing(7), old)).await["response"].clone();
    let expected = json!({"uid": "the-uid", "allowed": true, "warnings": ["spec.size: seven is unwise"]});
    assert_eq!(response(&Value::Null).await, expected);
    assert_eq!(response(&thing(8)).await["warnings"], Value::Null, "what is refused has its reasons");
}

#[tokio::test]
async fn what_must_pass_passes() {
    let certificates = certificates().await;
    let server = start(&certificates, &Metrics::new()).await;
    let client = client(server.address(), certificates.trust().borrow().as_ref().unwrap());
    let allowed = async |path: &str, body: Value| ask(&client, path, &body).await["response"]["allowed"].as_bool().unwrap();
    assert!(allowed("/validate", review("v1", "DELETE", &Value::Null, &thing(0))).await, "deletion is not asked about");
    assert!(!allowed("/guard", review("v1", "DELETE", &Value::Null, &thing(9))).await, "here it is");
    assert!(allowed("/guard", review("v1", "DELETE", &Value::Null, &json!({}))).await, "what does not parse can go");
    let mut rehearsal = review("v1", "UPDATE", &thing(1), &thing(2));
    assert!(!allowed("/validate", rehearsal.clone()).await);
    rehearsal["request"]["dryRun"] = json!(true);
    assert!(!allowed("/validate", rehearsal.clone()).await, "dry run alone is no rehearsal");
    rehearsal["request"]["object"]["metadata"]["annotations"] = json!({"example.com/dry-run": ""});
    assert!(allowed("/validate", rehearsal).await);
    let mut going = thing(0);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert!(allowed("/validate", review("v1", "UPDATE", &going, &thing(0))).await, "finalizers can go");
    assert!(!allowed("/validate", review("v1", "UPDATE", &going, &thing(1))).await, "but a specification is judged still");
}

#[tokio::test]
async fn a_change_becomes_a_patch_of_nothing_else() {
    let certificates = certificates().await;
    let server = start(&certificates, &Metrics::new()).await;
    let client = client(server.address(), certificates.trust().borrow().as_ref().unwrap());
    let mut object = thing(1);
    object["spec"]["unknown"] = json!({"kept": true});
    object["spec"]["ports"] = json!([{"number": 1, "mac": "02:aa:aa:aa:aa:aa"}, {"number": 2, "extra": 1}]);
    let reply = ask(&client, "/mutate", &review("v1", "CREATE", &object, &Value::Null)).await;
    assert_eq!(reply["response"]["patchType"], "JSONPatch");
    let patch = STANDARD.decode(reply["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
    let mut expected = object.clone();
    expected["spec"]["ports"][1]["mac"] = json!("02:00:00:00:00:02");
    json_patch::patch(&mut object, &patch).unwrap();
    assert_eq!(object, expected);
    let again = ask(&client, "/mutate", &review("v1", "UPDATE", &object, &object)).await;
    assert_eq!(again["response"], json!({"uid": "the-uid", "allowed": true}), "nothing is left to change");
}

#[test]
fn fields_a_type_fills_in_or_drops_stay_as_they_were() {
    let raw = json!({"a": null, "unknown": 1});
    let before = json!({"filled": 0, "b": 1});
    assert_eq!(carry(raw.clone(), &before, &before), raw);
    assert_eq!(carry(raw.clone(), &before, &json!({"filled": 2, "b": 1})), json!({"a": null, "unknown": 1, "filled": 2}));
    assert_eq!(carry(json!({"b": 1, "c": [1]}), &json!({"b": 1, "c": [1]}), &json!({"c": [1, 2]})), json!({"c": [1, 2]}));
}

fn conversion(sizes: &[u32]) -> Value {
    let objects: Vec<Value> = sizes.iter().map(|size| thing(*size)).collect();
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
        "request": {"uid": "the-uid", "desiredAPIVersion": "example.com/v2", "objects": objects}})
}

#[tokio::test]
async fn a_list_is_converted_in_order_or_the_culprit_is_named() {
    let certificates = certificates().await;
    let server = start(&certificates, &Metrics::new()).await;
    let client = client(server.address(), certificates.trust().borrow().as_ref().unwrap());
    let reply = ask(&client, "/convert", &conversion(&[3, 1, 2])).await;
    let response = &reply["response"];
    assert_eq!((&response["uid"], &response["result"]["status"]), (&json!("the-uid"), &json!("Success")));
    let sizes: Vec<_> = response["convertedObjects"].as_array().unwrap().iter().map(|object| object["spec"]["size"].clone()).collect();
    assert_eq!(sizes, [json!(3), json!(1), json!(2)]);
    assert_eq!(response["convertedObjects"][0]["apiVersion"], "example.com/v2");
    for (size, fault) in [
        (13, "cannot convert example.com/v1 Thing mine to example.com/v2: thirteen has no place there"),
        (14, "converting example.com/v1 Thing mine to example.com/v2 changed metadata other than labels and annotations"),
    ] {
        let reply = ask(&client, "/convert", &conversion(&[1, size])).await;
        assert_eq!(reply["response"]["result"], json!({"status": "Failure", "message": fault}));
        assert_eq!(reply["response"]["convertedObjects"], json!([]));
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_in_words_and_the_server_lives_on() {
    let certificates = certificates().await;
    let server = start(&certificates, &Metrics::new()).await;
    let client = client(server.address(), certificates.trust().borrow().as_ref().unwrap());
    for (path, body, said) in [
        ("/validate", "{", "the body is not an AdmissionReview"),
        ("/validate", "{\"apiVersion\": \"admission.k8s.io/v1\"}", "missing field `request`"),
        ("/convert", "[]", "the body is not a ConversionReview"),
    ] {
        let (status, text) = post(&client, path, body.into()).await.unwrap();
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(String::from_utf8(text).unwrap().contains(said), "{said}");
    }
    // The server may close the connection while the client still writes.
    if let Ok((status, _)) = post(&client, "/validate", vec![b' '; ADMISSION_LIMIT + 1]).await {
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(post(&client, "/nothing", Vec::new()).await.unwrap().0, StatusCode::NOT_FOUND);
    let good = ask(&client, "/validate", &review("v1", "CREATE", &thing(1), &Value::Null)).await;
    assert_eq!(good["response"]["allowed"], true);
}

#[tokio::test]
async fn a_new_certificate_is_served_while_connections_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let other = || async {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let write = |(certificate, key): &(String, String)| {
        std::fs::write(directory.path().join("tls.key"), key).unwrap();
        std::fs::write(directory.path().join("ca.crt"), certificate).unwrap();
        std::fs::write(directory.path().join("tls.crt"), certificate).unwrap();
    };
    let (first, second) = (other().await, other().await);
    write(&first);
    let poll = Duration::from_millis(20);
    let certificates = Certificates::start_polled(Source::Directory(directory.path().into()), poll).await.unwrap();
    let server = start(&certificates, &Metrics::new()).await;
    let good = review("v1", "CREATE", &thing(1), &Value::Null);
    let old = client(server.address(), &first.0);
    ask(&old, "/validate", &good).await;
    write(&second);
    let mut trust = certificates.trust();
    let followed = trust.wait_for(|trust| trust.as_ref() == Some(&second.0));
    tokio::time::timeout(Duration::from_secs(20), followed).await.unwrap().unwrap();
    ask(&client(server.address(), &second.0), "/validate", &good).await;
    assert!(post(&client(server.address(), &first.0), "/validate", Vec::new()).await.is_err(), "new connections see the new one");
    ask(&old, "/validate", &good).await;
}
