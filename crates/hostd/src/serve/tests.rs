//! The service over loopback: gRPC by tonic's client, the gateway by plain HTTP.

use std::path::Path;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::api::DeleteMicroVmRequest;
use capstead_flintlock::api::GetMicroVmRequest;
use capstead_flintlock::api::ListMicroVMsRequest;
use capstead_flintlock::api::micro_vm_client::MicroVmClient;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Request;
use tonic::transport::Channel;
use tonic::transport::Endpoint;

use super::*;
use crate::accept::tests::spec;
use crate::host::tests::World;
use crate::host::tests::start;
use crate::host::tests::until;

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn local() -> Listen {
    Listen { grpc: LOCAL, http: Some(LOCAL), debug: Some(LOCAL), tls: None, token: None, insecure: false }
}

async fn client(served: &Served) -> MicroVmClient<Channel> {
    MicroVmClient::new(Endpoint::try_from(format!("http://{}", served.grpc())).unwrap().connect().await.unwrap())
}

/// Status and body of one request.
async fn http(mut stream: impl AsyncRead + AsyncWrite + Unpin, method: &str, path: &str, header: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{header}\r\n");
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A TLS peer may end without a word.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn ask(served: &Served, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let stream = TcpStream::connect(served.http().unwrap()).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, body) = http(stream, method, path, "", &body).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

#[tokio::test]
async fn sockets_that_listen_already_are_served() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let sockets = [(); 2].map(|()| std::net::TcpListener::bind(LOCAL).unwrap());
    let [grpc, http] = [0, 1].map(|n: usize| sockets[n].local_addr().unwrap());
    // Somebody calls before anybody serves.
    let early = TcpStream::connect(http).await.unwrap();
    let served = Listen { grpc, http: Some(http), ..local() }.serve_on(&host, sockets.into()).await.unwrap();
    assert_eq!((served.grpc(), served.http()), (grpc, Some(http)));
    let listed = client(&served).await.list_micro_v_ms(ListMicroVMsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.microvm.len(), 0);
    assert_eq!(self::http(early, "GET", "/v1alpha1/microvm/none", "", "").await.0, 200);
}

#[tokio::test]
async fn all_five_calls_work_over_grpc() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let served = local().serve(&host).await.unwrap();
    let mut client = client(&served).await;
    let request = CreateMicroVmRequest { microvm: Some(spec(&[])), ..CreateMicroVmRequest::default() };
    let uid = client.create_micro_vm(request).await.unwrap().into_inner().microvm.unwrap().spec.unwrap().uid().to_owned();
    let get = |uid: &str| GetMicroVmRequest { uid: uid.to_owned() };
    let got = client.get_micro_vm(get(&uid)).await.unwrap().into_inner().microvm.unwrap();
    assert_eq!((got.spec.as_ref().unwrap().id.as_str(), got.spec.as_ref().unwrap().provider()), ("a", "qemu"));
    let all = ListMicroVMsRequest { namespace: "b".into(), name: Some("a".into()) };
    assert_eq!(client.list_micro_v_ms(all.clone()).await.unwrap().into_inner().microvm.len(), 1);
    let mut stream = client.list_micro_v_ms_stream(all).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().microvm.unwrap().spec.unwrap().uid(), uid);
    assert_eq!(stream.message().await.unwrap(), None);
    client.delete_micro_vm(DeleteMicroVmRequest { uid: uid.clone() }).await.unwrap();
    until("it is gone", || host.get(&uid).is_err()).await;
    for (status, code) in [
        (client.get_micro_vm(get(&uid)).await.unwrap_err(), Code::NotFound),
        (client.get_micro_vm(get("")).await.unwrap_err(), Code::InvalidArgument),
        (client.delete_micro_vm(DeleteMicroVmRequest { uid }).await.unwrap_err(), Code::NotFound),
        (client.create_micro_vm(CreateMicroVmRequest::default()).await.unwrap_err(), Code::InvalidArgument),
        (client.list_micro_v_ms_stream(ListMicroVMsRequest::default()).await.unwrap_err(), Code::InvalidArgument),
    ] {
        assert_eq!(status.code(), code, "{status}");
        assert!(code != Code::NotFound || status.message().contains("not found"), "{status}");
    }
    served.stop().await;
}

#[tokio::test]
async fn the_gateway_speaks_json_both_ways() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let served = local().serve(&host).await.unwrap();
    let least = json!({
        "id": "a", "namespace": "b",
        "kernel": {"image": "registry:5000/kernel:1", "filename": "boot/vmlinux"},
        "rootVolume": {"id": "root", "source": {"containerSource": "registry:5000/root:1"}},
        "interfaces": [{"deviceId": "eth1", "type": "TAP"}],
    });
    let (status, made) = ask(&served, "POST", "/v1alpha1/microvm", &least).await;
    let uid = made["microvm"]["spec"]["uid"].as_str().unwrap_or_else(|| panic!("{status} {made}")).to_owned();
    assert_eq!((status, &made["microvm"]["spec"]["memoryInMb"]), (200, &json!(1024)));
    assert_eq!(ask(&served, "GET", &format!("/v1alpha1/microvm/{uid}"), &Value::Null).await.1["microvm"]["spec"]["id"], "a");
    assert_eq!(ask(&served, "GET", "/v1alpha1/microvm/b", &Value::Null).await.1["microvm"][0]["spec"]["uid"], *uid);
    assert_eq!(ask(&served, "GET", "/v1alpha1/microvm/b?name=c", &Value::Null).await.1["microvm"], json!([]));
    let lines = ask(&served, "POST", "/microvm.services.api.v1alpha1.MicroVM/ListMicroVMsStream", &json!({"namespace": "b"})).await.1;
    assert_eq!(lines["result"]["microvm"]["spec"]["uid"], *uid);
    for (method, path, body, status, says) in [
        ("POST", "/v1alpha1/microvm", json!({"id": "a", "memory": 1}), 400, "memory"),
        ("POST", "/v1alpha1/microvm", json!({"id": "a"}), 400, "validation failures found"),
        ("DELETE", "/v1alpha1/microvm/01HAAAAAAAAAAAAAAAAAAAAAAA", Value::Null, 404, "not found"),
    ] {
        let (told, answer) = ask(&served, method, path, &body).await;
        assert!(told == status && answer["message"].as_str().unwrap().contains(says), "{method} {path}: {told} {answer}");
    }
    assert_eq!(ask(&served, "DELETE", &format!("/v1alpha1/microvm/{uid}"), &Value::Null).await, (200, json!({})));
}

#[tokio::test]
async fn metrics_count_calls_steps_and_microvms() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let served = Listen { token: Some(Token::new("secret")), ..local() }.serve(&host).await.unwrap();
    let uid = host.create(Some(spec(&[]))).unwrap().spec.unwrap().uid.unwrap();
    until("it runs", || host.get(&uid).is_ok_and(|microvm| microvm.status.unwrap().state() == MicroVmState::Created)).await;
    let mut client = client(&served).await;
    let mut request = Request::new(GetMicroVmRequest { uid: "x".into() });
    request.metadata_mut().insert("authorization", "Basic c2VjcmV0".parse().unwrap());
    client.get_micro_vm(request).await.unwrap_err();

    let stream = || TcpStream::connect(served.debug().unwrap());
    assert_eq!(http(stream().await.unwrap(), "GET", "/healthz", "", "").await, (200, "ok".to_owned()));
    assert_eq!(http(stream().await.unwrap(), "GET", "/metrics", "", "").await.0, 401);
    let (status, text) = http(stream().await.unwrap(), "GET", "/metrics", "authorization: Basic c2VjcmV0\r\n", "").await;
    for line in [
        r#"capstead_host_microvms{state="created",driver="qemu"} 1"#,
        r#"capstead_host_step_seconds_count{step="launch"} 1"#,
        r#"grpc_method="GetMicroVM",grpc_code="NotFound"} 1"#,
    ] {
        assert!(status == 200 && text.contains(line), "{line}: {status} {text}");
    }
}

#[tokio::test]
async fn without_the_token_nobody_is_heard() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let served = Listen { token: Some(Token::new("secret")), ..local() }.serve(&host).await.unwrap();
    let mut client = client(&served).await;
    let refused = client.list_micro_v_ms(ListMicroVMsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let mut request = Request::new(ListMicroVMsRequest::default());
    request.metadata_mut().insert("authorization", "Basic c2VjcmV0".parse().unwrap());
    client.list_micro_v_ms(request).await.unwrap();
    let stream = || TcpStream::connect(served.http().unwrap());
    assert_eq!(http(stream().await.unwrap(), "GET", "/v1alpha1/microvm/b", "", "").await.0, 401);
    assert_eq!(http(stream().await.unwrap(), "GET", "/v1alpha1/microvm/b", "authorization: Basic c2VjcmV0\r\n", "").await.0, 200);
}

#[test]
fn beyond_loopback_something_must_keep_others_out() {
    let files = TlsFiles { cert: "c".into(), key: "k".into(), client_ca: None };
    let open = Listen { grpc: "0.0.0.0:9090".parse().unwrap(), http: None, ..local() };
    assert!(local().check().is_ok());
    assert!(matches!(open.check(), Err(ServeError::Open(_))));
    assert!(matches!(Listen { http: Some(open.grpc), grpc: LOCAL, ..open.clone() }.check(), Err(ServeError::Open(_))));
    assert!(Listen { token: Some(Token::new("x")), ..open.clone() }.check().is_ok());
    assert!(Listen { tls: Some(files.clone()), ..open.clone() }.check().is_ok());
    assert!(Listen { insecure: true, ..open.clone() }.check().is_ok());
    assert!(matches!(Listen { insecure: true, tls: Some(files), ..open }.check(), Err(ServeError::Both)));
}

/// An authority, and who has a certificate of it: PEM of certificate and key.
struct Authority(Issuer<'static, KeyPair>, String);

impl Authority {
    fn new() -> Self {
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self(Issuer::new(params, key), pem)
    }

    fn issue(&self, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, dir: &Path) -> TlsFiles {
        let (cert, key) = self.issue(ExtendedKeyUsagePurpose::ServerAuth);
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles { cert: file("tls.crt", &cert), key: file("tls.key", &key), client_ca: Some(file("ca.crt", &self.1)) }
    }

    /// Status of one request by a client of this authority, with a certificate or without.
    async fn ask(&self, address: SocketAddr, certificate: Option<(String, String)>) -> Result<u16, String> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.1.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| error.to_string())?;
        // In TLS 1.3 a client learns only when it reads that its certificate was refused.
        let head = b"GET /v1alpha1/microvm/b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(head).await.map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(answer)
    }
}

#[tokio::test]
async fn with_tls_only_clients_of_the_authority_are_heard() {
    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, &dir.path().join("records"));
    let (ours, other) = (Authority::new(), Authority::new());
    let served = Listen { tls: Some(ours.write(dir.path())), ..local() }.serve(&host).await.unwrap();
    let address = served.http().unwrap();
    let client = ours.issue(ExtendedKeyUsagePurpose::ClientAuth);
    assert_eq!(ours.ask(address, Some(client.clone())).await, Ok(200));
    assert!(ours.ask(address, None).await.is_err());
    assert!(ours.ask(address, Some(other.issue(ExtendedKeyUsagePurpose::ClientAuth))).await.is_err());
    assert!(other.ask(address, Some(client)).await.is_err(), "a server of another authority");
}

#[tokio::test]
async fn files_that_do_not_serve_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = Authority::new().write(dir.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::new().write(elsewhere.path());
    let missing = dir.path().join("missing");
    std::fs::write(dir.path().join("empty"), "").unwrap();
    let empty = dir.path().join("empty");
    for (files, says) in [
        (TlsFiles { cert: missing.clone(), ..files.clone() }, "missing"),
        (TlsFiles { cert: empty.clone(), ..files.clone() }, "holds no certificate"),
        (TlsFiles { key: empty.clone(), ..files.clone() }, "holds no private key"),
        (TlsFiles { client_ca: Some(empty), ..files.clone() }, "holds no authority"),
        (TlsFiles { key: other.key.clone(), ..files.clone() }, "do not serve"),
    ] {
        let error = files.follow().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
