//! Calls as clients make them: gRPC over HTTP/2 and TLS, in memory.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::Body;
use http::HeaderMap;
use http::Request;
use hyper::body::Body as _;
use hyper::client::conn::http2 as client;
use prost::Message;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tonic::Code;

use super::*;

/// The same bytes as etcd's own, both ways. See `tests/golden/README.md`.
#[test]
fn messages_are_etcd_s() {
    fn same<M: Message + Default>(bytes: &[u8]) -> Vec<u8> {
        M::decode(bytes).expect("decodes").encode_to_vec()
    }
    let mut seen = 0;
    for line in include_str!("../../tests/golden/messages.txt").lines() {
        let (name, hex) = line.split_once(' ').expect("a name and bytes");
        let golden: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect();
        let ours = match name {
            "MemberAddRequest" => same::<api::MemberAddRequest>(&golden),
            "MemberAddResponse" => same::<api::MemberAddResponse>(&golden),
            "MemberRemoveRequest" => same::<api::MemberRemoveRequest>(&golden),
            "MemberRemoveResponse" => same::<api::MemberRemoveResponse>(&golden),
            "MemberListRequest" => same::<api::MemberListRequest>(&golden),
            "MemberListResponse" => same::<api::MemberListResponse>(&golden),
            "MemberPromoteRequest" => same::<api::MemberPromoteRequest>(&golden),
            "MemberPromoteResponse" => same::<api::MemberPromoteResponse>(&golden),
            "AlarmRequest" => same::<api::AlarmRequest>(&golden),
            "AlarmResponse" => same::<api::AlarmResponse>(&golden),
            "StatusResponse" => same::<api::StatusResponse>(&golden),
            "DefragmentResponse" => same::<api::DefragmentResponse>(&golden),
            "MoveLeaderRequest" => same::<api::MoveLeaderRequest>(&golden),
            "MoveLeaderResponse" => same::<api::MoveLeaderResponse>(&golden),
            other => panic!("{other} is not ours"),
        };
        assert_eq!(ours, golden, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 14);
}

struct Certificates {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

fn certificates() -> Certificates {
    let key = rcgen::generate_simple_self_signed(vec!["etcd".to_owned()]).expect("a certificate");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], PrivateKeyDer::try_from(key.signing_key.serialize_der()).expect("a key"))
        .expect("a certificate with its key");
    let mut roots = RootCertStore::empty();
    roots.add(key.cert.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut client = client.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    Certificates { server: offer_http2(server), client: Arc::new(client) }
}

struct Client(client::SendRequest<Body>);

impl Client {
    async fn new(etcd: &Etcd, member: u64, certificates: &Certificates) -> io::Result<Self> {
        let stream = etcd.connect(member, &certificates.server)?;
        let name = ServerName::try_from("etcd").expect("a name");
        let stream = TlsConnector::from(Arc::clone(&certificates.client)).connect(name, stream).await?;
        let (sender, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn call<M: Message + Default>(&mut self, method: &str, request: &impl Message) -> Result<M, (Code, String)> {
        let message = request.encode_to_vec();
        let body = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
        let request = Request::post(format!("https://etcd/etcdserverpb.{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::from(body))
            .expect("a request");
        let gone = |error: hyper::Error| (Code::Unknown, error.to_string());
        let response = self.0.send_request(request).await.map_err(gone)?;
        let mut status = response.headers().clone();
        let (mut body, mut bytes) = (response.into_body(), Vec::new());
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame.map_err(gone)?.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => status = frame.into_trailers().unwrap_or_default(),
            }
        }
        match code(&status) {
            Code::Ok => Ok(M::decode(&bytes[5..]).expect("decodes")),
            code => Err((code, tonic::Status::from_header_map(&status).expect("a status").message().to_owned())),
        }
    }

    async fn status(&mut self) -> api::StatusResponse {
        self.call("Maintenance/Status", &api::StatusRequest {}).await.expect("a status")
    }

    async fn names(&mut self) -> Result<Vec<String>, (Code, String)> {
        let list = self.call::<api::MemberListResponse>("Cluster/MemberList", &api::MemberListRequest { linearizable: true }).await?;
        let mut names: Vec<_> = list.members.into_iter().map(|member| member.name).collect();
        names.sort();
        Ok(names)
    }
}

fn code(headers: &HeaderMap) -> Code {
    Code::from_bytes(headers.get("grpc-status").expect("a status").as_bytes())
}

fn three() -> (Etcd, [u64; 3]) {
    let url = |name: &str, port: u16| vec![format!("https://{name}:{port}")];
    let mut cluster = Cluster::new("test", "a", url("a", 2380), url("a", 2379));
    let mut ids = [cluster.named("a").expect("a"); 3];
    for (name, id) in ["b", "c"].into_iter().zip(&mut ids[1..]) {
        *id = cluster.add(url(name, 2380), true).expect("added");
        cluster.start(*id, name, url(name, 2379)).expect("started");
        cluster.promote(*id).expect("promoted");
    }
    (Etcd::new(cluster, PATIENCE), ids)
}

fn health(etcd: &Etcd, member: u64, health: Health) {
    etcd.change(|cluster| cluster.set_health(member, health)).expect("a member");
}

fn unavailable(text: &str) -> (Code, String) {
    (Code::Unavailable, text.to_owned())
}

#[tokio::test]
async fn a_control_plane_machine_is_replaced() {
    let (etcd, [a, b, c]) = three();
    let certificates = certificates();
    let mut first = Client::new(&etcd, a, &certificates).await.expect("connected");
    let status = first.status().await;
    assert_eq!((status.leader, status.version.as_str(), status.is_learner, status.errors.len()), (a, "3.6.14", false, 0));
    assert_eq!(status.header.map(|header| (header.cluster_id, header.member_id)), Some((etcd.read(Cluster::id), a)));
    assert_eq!(first.names().await, Ok(vec!["a".into(), "b".into(), "c".into()]));
    let list = api::AlarmRequest::default();
    assert_eq!(first.call::<api::AlarmResponse>("Maintenance/Alarm", &list).await.map(|response| response.alarms), Ok(Vec::new()));
    // The leader goes, so it hands over, and another member removes it.
    let mut other = Client::new(&etcd, b, &certificates).await.expect("connected");
    let to_c = api::MoveLeaderRequest { target_id: c };
    let not_leader = (Code::FailedPrecondition, "etcdserver: not leader".to_owned());
    assert_eq!(other.call::<api::MoveLeaderResponse>("Maintenance/MoveLeader", &to_c).await, Err(not_leader));
    first.call::<api::MoveLeaderResponse>("Maintenance/MoveLeader", &to_c).await.expect("handed over");
    assert_eq!((first.status().await.leader, other.status().await.leader), (c, c));
    let removed = other.call::<api::MemberRemoveResponse>("Cluster/MemberRemove", &api::MemberRemoveRequest { id: a }).await;
    assert_eq!(removed.map(|response| response.members.len()), Ok(2));
    assert_eq!(Client::new(&etcd, a, &certificates).await.err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionRefused));
    assert_eq!(first.names().await.map_err(|(code, _)| code), Err(Code::Unknown));
    let gone = other.call::<api::MemberRemoveResponse>("Cluster/MemberRemove", &api::MemberRemoveRequest { id: a }).await;
    assert_eq!(gone.map_err(|(code, text)| (code, text == "etcdserver: member not found")), Err((Code::NotFound, true)));
    // A new one joins.
    let add = api::MemberAddRequest { peer_urls: vec!["https://d:2380".into()], is_learner: true };
    let d = other.call::<api::MemberAddResponse>("Cluster/MemberAdd", &add).await.expect("added").member.expect("a member").id;
    etcd.change(|cluster| cluster.start(d, "d", vec!["https://d:2379".into()])).expect("started");
    let mut new = Client::new(&etcd, d, &certificates).await.expect("connected");
    assert!(new.status().await.is_learner);
    let refused = (Code::FailedPrecondition, "etcdserver: rpc not supported for learner".to_owned());
    assert_eq!(new.names().await, Err(refused));
    let promote = api::MemberPromoteRequest { id: d };
    other.call::<api::MemberPromoteResponse>("Cluster/MemberPromote", &promote).await.expect("promoted");
    assert_eq!(new.names().await, Ok(vec!["b".into(), "c".into(), "d".into()]));
}

#[tokio::test]
async fn alarms_are_told() {
    let (etcd, [a, b, _]) = three();
    let mut client = Client::new(&etcd, a, &certificates()).await.expect("connected");
    etcd.change(|cluster| cluster.raise(b, Alarm::NoSpace)).expect("raised");
    let alarm = api::AlarmMember { member_id: b, alarm: api::AlarmType::Nospace.into() };
    let mut request = api::AlarmRequest::default();
    let told = client.call::<api::AlarmResponse>("Maintenance/Alarm", &request).await;
    assert_eq!(told.map(|response| response.alarms), Ok(vec![alarm]));
    assert_eq!(client.status().await.errors, [format!("memberID:{b} alarm:NOSPACE ")]);
    request = api::AlarmRequest { member_id: b, alarm: api::AlarmType::Nospace.into(), ..request };
    request.set_action(api::alarm_request::AlarmAction::Deactivate);
    let told = client.call::<api::AlarmResponse>("Maintenance/Alarm", &request).await;
    assert_eq!(told.map(|response| response.alarms), Ok(vec![alarm]));
    assert!(client.status().await.errors.is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_calls_time_out() {
    let (etcd, [a, b, c]) = three();
    let mut client = Client::new(&etcd, a, &certificates()).await.expect("connected");
    health(&etcd, b, Health::Stopped);
    assert_eq!(client.names().await.map(|names| names.len()), Ok(3));
    health(&etcd, c, Health::Stopped);
    let start = Instant::now();
    assert_eq!(client.names().await, Err(unavailable("etcdserver: request timed out")));
    assert!(start.elapsed() >= PATIENCE && start.elapsed() < 2 * PATIENCE);
    let remove = api::MemberRemoveRequest { id: c };
    let removed = client.call::<api::MemberRemoveResponse>("Cluster/MemberRemove", &remove).await;
    assert_eq!(removed.map(|_| ()), Err(unavailable("etcdserver: request timed out")));
    let list = client.call::<api::MemberListResponse>("Cluster/MemberList", &api::MemberListRequest { linearizable: false }).await;
    assert_eq!(list.map(|list| list.members.len()), Ok(3));
    let status = client.status().await;
    assert_eq!((status.leader, status.errors), (0, vec!["etcdserver: no leader".to_owned()]));
    // One comes back while a call waits.
    let (names, ()) = tokio::join!(client.names(), async {
        tokio::time::sleep(PATIENCE / 2).await;
        health(&etcd, c, Health::Running);
    });
    assert_eq!(names.map(|names| names.len()), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn members_hang_stop_and_come_back() {
    let (etcd, [a, b, _]) = three();
    let certificates = certificates();
    let mut client = Client::new(&etcd, b, &certificates).await.expect("connected");
    health(&etcd, b, Health::Hung);
    let minute = Duration::from_secs(60);
    assert!(timeout(minute, client.status()).await.is_err());
    assert!(timeout(minute, Client::new(&etcd, b, &certificates)).await.is_err());
    health(&etcd, b, Health::Running);
    assert_eq!(client.status().await.leader, a);
    health(&etcd, b, Health::Isolated);
    assert_eq!(client.status().await.leader, 0);
    assert_eq!(client.names().await, Err(unavailable("etcdserver: request timed out")));
    health(&etcd, b, Health::Stopped);
    assert_eq!(client.names().await.map_err(|(code, _)| code), Err(Code::Unknown));
    assert_eq!(Client::new(&etcd, b, &certificates).await.err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionRefused));
    health(&etcd, b, Health::Running);
    assert_eq!(Client::new(&etcd, b, &certificates).await.expect("connected").names().await.map(|names| names.len()), Ok(3));
}

#[tokio::test(start_paused = true)]
async fn nobody_holds_a_connection_without_shaking_hands() {
    let (etcd, [a, ..]) = three();
    let mut stream = etcd.connect(a, &certificates().server).expect("connected");
    let start = Instant::now();
    assert_eq!(stream.read(&mut [0; 1]).await.expect("closed"), 0);
    assert!(start.elapsed() >= HANDSHAKE);
}
