//! A host behind TLS and a token, on loopback.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use capstead_flintlock::api::micro_vm_server::{MicroVm as Service, MicroVmServer};
use capstead_flintlock::api::*;
use capstead_flintlock::{Access, AccessError, CallError, Client, Limits, Tls};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

/// base64 of "open sesame".
const TOKEN: &str = "Basic b3BlbiBzZXNhbWU=";

/// Holds nothing.
struct Empty;

#[tonic::async_trait]
impl Service for Empty {
    async fn create_micro_vm(&self, _: Request<CreateMicroVmRequest>) -> Result<Response<CreateMicroVmResponse>, Status> {
        Err(Status::unimplemented("nothing is made here"))
    }

    async fn delete_micro_vm(&self, _: Request<DeleteMicroVmRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn get_micro_vm(&self, _: Request<GetMicroVmRequest>) -> Result<Response<GetMicroVmResponse>, Status> {
        Err(Status::not_found("nothing is here"))
    }

    async fn list_micro_v_ms(&self, _: Request<ListMicroVMsRequest>) -> Result<Response<ListMicroVMsResponse>, Status> {
        Ok(Response::new(ListMicroVMsResponse::default()))
    }

    type ListMicroVMsStreamStream = tokio_stream::Empty<Result<ListMessage, Status>>;

    async fn list_micro_v_ms_stream(&self, _: Request<ListMicroVMsRequest>) -> Result<Response<Self::ListMicroVMsStreamStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

fn check(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("authorization").and_then(|value| value.to_str().ok()) {
        Some(TOKEN) => Ok(request),
        _ => Err(Status::unauthenticated("invalid auth token: tokens do not match")),
    }
}

/// An authority, and a certificate of it with its key.
struct Pki {
    ca: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap().pem();
        Self { ca, issuer: Issuer::new(params, key) }
    }

    fn pair(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A host that shows a certificate for `host.test` and asks for one; runs until the runtime ends.
async fn serve(pki: &Pki) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cert, key) = pki.pair("host.test", ExtendedKeyUsagePurpose::ServerAuth);
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(cert, key)).client_ca_root(Certificate::from_pem(&pki.ca));
    let server = Server::builder().tls_config(tls).unwrap().add_service(MicroVmServer::with_interceptor(Empty, check));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

#[tokio::test]
async fn a_host_is_reached_by_certificates_and_a_token() {
    let pki = Pki::new();
    let address = serve(&pki).await.to_string();
    let (cert, key) = pki.pair("client", ExtendedKeyUsagePurpose::ClientAuth);
    let tls = Tls {
        ca: Some(pki.ca.clone().into_bytes()),
        identity: Some((cert.into_bytes(), key.into_bytes())),
        server_name: Some("host.test".to_owned()),
    };
    let access = Access { tls: Some(tls.clone()), token: Some("open sesame".to_owned()), proxy: None };
    let list = async |access: &Access| Client::with_access(&address, access, Limits::default()).unwrap().all("", "").await;
    assert_eq!(list(&access).await.unwrap(), []);
    let client = Client::with_access(&address, &access, Limits::default()).unwrap();
    assert!(matches!(client.get("gone").await, Err(CallError::NotFound { .. })));
    client.delete("gone").await.unwrap();

    for token in [None, Some("open says me".to_owned())] {
        let error = list(&Access { token, ..access.clone() }).await.unwrap_err();
        assert!(error.wants_credentials(), "{error:?}");
    }
    // Nobody answers to whoever is not known, or does not know the host.
    let stranger = Pki::new();
    let other = stranger.pair("client", ExtendedKeyUsagePurpose::ClientAuth);
    let wrong = [
        Tls { server_name: None, ..tls.clone() },
        Tls { ca: Some(stranger.ca.into_bytes()), ..tls.clone() },
        Tls { identity: None, ..tls.clone() },
        Tls { identity: Some((other.0.into_bytes(), other.1.into_bytes())), ..tls },
    ];
    for tls in wrong {
        let told = format!("{tls:?}");
        list(&Access { tls: Some(tls), ..access.clone() }).await.expect_err(&told);
    }
    list(&Access { tls: None, ..access }).await.expect_err("TLS is wanted");
}

/// An HTTP proxy that only CONNECTs; counts the tunnels.
async fn proxy() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tunnels);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).expect("a CONNECT").to_owned();
                let Ok(mut host) = TcpStream::connect(target).await else {
                    return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.unwrap();
                };
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut host).await;
            });
        }
    });
    (address, tunnels)
}

#[tokio::test]
async fn a_host_behind_a_proxy_is_reached_by_connect_with_tls_through_the_tunnel() {
    let pki = Pki::new();
    let address = serve(&pki).await.to_string();
    let (cert, key) = pki.pair("client", ExtendedKeyUsagePurpose::ClientAuth);
    let identity = Some((cert.into_bytes(), key.into_bytes()));
    let tls = Tls { ca: Some(pki.ca.clone().into_bytes()), identity, server_name: Some("host.test".to_owned()) };
    let (proxy, tunnels) = proxy().await;
    let through = |proxy: String| Access { tls: Some(tls.clone()), token: Some("open sesame".to_owned()), proxy: Some(proxy) };
    for (count, proxy) in [format!("http://{proxy}"), proxy.to_string()].into_iter().enumerate() {
        let client = Client::with_access(&address, &through(proxy), Limits::default()).unwrap();
        assert_eq!(client.all("", "").await.unwrap(), []);
        assert_eq!(tunnels.load(Ordering::Relaxed), count + 1);
    }
    // A host that is not there, and a proxy that is not: nothing was sent.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    for (address, proxy) in [(&free, proxy.to_string()), (&address, free.clone())] {
        let client = Client::with_access(address, &through(proxy), Limits::default()).unwrap();
        assert!(matches!(client.all("", "").await, Err(CallError::Unsent { .. })));
    }
    for bad in ["https://proxy:1", "", "proxy:0", "http://"] {
        assert!(
            matches!(Client::with_access(&address, &through(bad.to_owned()), Limits::default()), Err(AccessError::Proxy { .. })),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn what_is_not_fit_is_refused_before_anything_is_sent_and_secrets_are_not_told() {
    let with = |address: &str, access: &Access| Client::with_access(address, access, Limits::default());
    assert!(matches!(with("nowhere", &Access::default()), Err(AccessError::Address(_))));
    let tls = Tls { identity: Some((b"cert".to_vec(), b"secret".to_vec())), ..Tls::default() };
    let access = Access { tls: Some(tls), token: Some("secret".to_owned()), proxy: None };
    assert!(matches!(with("127.0.0.1:9090", &access), Err(AccessError::Tls { .. })));
    assert!(!format!("{access:?}").contains("secret"), "{access:?}");
}
