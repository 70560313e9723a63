//! Our own client against simulated hosts on loopback, with each fault.

#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use capstead_flintlock::types::micro_vm_status::MicroVmState;
use capstead_flintlock::types::{Kernel, MicroVm, MicroVmSpec, NetworkInterface, Volume};
use capstead_flintlock::{CallError, Cause, Client, Limits, Listed};
use capstead_lab::flintlock::{FaultKind, Faults, Options, Settings, SimulatedHost, Simulator, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const DEADLINE: Duration = Duration::from_secs(20);

fn spec(name: &str) -> MicroVmSpec {
    MicroVmSpec {
        id: name.to_owned(),
        namespace: "team".to_owned(),
        kernel: Some(Kernel { image: "ghcr.io/example/kernel:1".into(), filename: Some("vmlinux".into()), ..Kernel::default() }),
        root_volume: Some(Volume { id: "root".into(), ..Volume::default() }),
        interfaces: vec![NetworkInterface { device_id: "eth1".into(), r#type: 1, ..NetworkInterface::default() }],
        metadata: [("own".to_owned(), "dG9rZW4=".to_owned()), ("user-data".to_owned(), "c2VjcmV0".to_owned())].into(),
        ..MicroVmSpec::default()
    }
}

fn quick() -> Options {
    let settings = Settings { boot_delay: Duration::from_millis(20), delete_delay: Duration::from_millis(20), ..Settings::default() };
    Options { settings, ..Options::default() }
}

fn with(kind: FaultKind) -> Options {
    Options { faults: Faults::default().with(kind, 1.0).unwrap(), ..quick() }
}

fn client(host: &SimulatedHost) -> Client {
    Client::new(&host.address().to_string(), Limits::default()).unwrap()
}

fn uid(microvm: &MicroVm) -> &str {
    microvm.spec.as_ref().unwrap().uid()
}

fn state(microvm: &MicroVm) -> MicroVmState {
    microvm.status.as_ref().unwrap().state()
}

async fn team(client: &Client) -> Result<Vec<Listed>, CallError> {
    client.list(&BTreeSet::from(["team".to_owned()])).await
}

/// Looks until it is so.
async fn until(what: &str, mut look: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !look().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"));
}

/// One request over HTTP; the status and the body.
async fn http(simulator: &Simulator, method: &str, path: &str, body: &str) -> (u16, String) {
    // A server of its own for each request: that it serves more than one is no matter here.
    let address = simulator.serve_control("127.0.0.1:0".parse().unwrap(), axum::Router::new()).unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: lab\r\nconnection: close\r\ncontent-type: application/json\r\n");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn a_microvm_lives_and_hosts_are_apart() {
    let simulator = Simulator::start(Options { hosts: 2, ..quick() }).unwrap();
    let (one, other) = (client(&simulator.hosts()[0]), client(&simulator.hosts()[1]));
    assert_eq!(simulator.addresses().len(), 2);
    let made = one.create(spec("m")).await.unwrap();
    assert_eq!(state(&made), MicroVmState::Pending);
    until("it is created", async || state(&one.get(uid(&made)).await.unwrap()) == MicroVmState::Created).await;
    let listed = team(&one).await.unwrap();
    assert_eq!((listed.len(), listed[0].uid.as_str(), listed[0].metadata["own"].as_str()), (1, uid(&made), "dG9rZW4="));
    assert_eq!(one.find("team", "m").await.unwrap(), listed);
    assert!(one.find("team", "another").await.unwrap().is_empty());
    assert!(team(&other).await.unwrap().is_empty());
    assert!(matches!(other.get(uid(&made)).await.unwrap_err(), CallError::NotFound { .. }));
    one.delete(uid(&made)).await.unwrap();
    until("it is gone", async || matches!(one.get(uid(&made)).await, Err(CallError::NotFound { .. }))).await;
    assert!(matches!(one.delete(uid(&made)).await.unwrap_err(), CallError::NotFound { .. }));
    assert!(matches!(one.create(MicroVmSpec::default()).await.unwrap_err(), CallError::Terminal { .. }));
}

#[tokio::test]
async fn a_listing_over_the_clients_limit_comes_by_stream() {
    let simulator = Simulator::start(quick()).unwrap();
    let host = &simulator.hosts()[0];
    for n in 0..500 {
        host.put(spec(&format!("m{n}"))).unwrap();
    }
    let client = Client::new(&host.address().to_string(), Limits { answer: 16 << 10, ..Limits::default() }).unwrap();
    assert_eq!(team(&client).await.unwrap().len(), 500);
    let metrics = simulator.metrics().unwrap();
    assert!(metrics.contains(r#"calls_total{host="1",method="ListMicroVMsStream",code="OK"} 1"#), "{metrics}");
}

#[tokio::test]
async fn unavailable_and_lost_replies_are_transient_and_differ_in_what_was_done() {
    for (kind, there) in [(FaultKind::Unavailable, 0), (FaultKind::LostReply, 1)] {
        let simulator = Simulator::start(with(kind)).unwrap();
        let client = client(&simulator.hosts()[0]);
        let error = client.create(spec("m")).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Transient { cause: Cause::Status { message, .. }, .. } if message.contains(kind.as_str())),
            "{error:?}"
        );
        assert_eq!(team(&client).await.is_err(), kind == FaultKind::Unavailable);
        simulator.set_faults(Faults::default());
        assert_eq!(team(&client).await.unwrap().len(), there);
    }
}

#[tokio::test]
async fn a_slow_answer_is_a_deadline_and_the_work_is_done() {
    let settings = Settings { slow_delay: Duration::from_secs(600), ..Settings::default() };
    let simulator = Simulator::start(Options { settings, ..with(FaultKind::Slow) }).unwrap();
    let short = Duration::from_millis(200);
    let limits = Limits { call: short, list: short, ..Limits::default() };
    let client = Client::new(&simulator.hosts()[0].address().to_string(), limits).unwrap();
    let is_deadline = |error: CallError| matches!(error, CallError::Transient { cause: Cause::Deadline(_), .. });
    assert!(is_deadline(client.create(spec("m")).await.unwrap_err()));
    assert!(is_deadline(team(&client).await.unwrap_err()));
    assert_eq!(simulator.hosts()[0].microvms().len(), 1);
}

#[tokio::test]
async fn a_late_create_lands_within_the_clients_deadline() {
    let simulator = Simulator::start(with(FaultKind::LateCreate)).unwrap();
    let deadline = Duration::from_secs(2);
    let client = Client::new(&simulator.hosts()[0].address().to_string(), Limits { call: deadline, ..Limits::default() }).unwrap();
    let begun = Instant::now();
    assert!(matches!(client.create(spec("m")).await.unwrap_err(), CallError::Transient { .. }));
    until("it lands", async || !simulator.hosts()[0].microvms().is_empty()).await;
    assert!(begun.elapsed() < deadline, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_failed_one_says_so_and_a_vanished_one_is_not_found() {
    let simulator = Simulator::start(with(FaultKind::Failed)).unwrap();
    let host = &simulator.hosts()[0];
    let client = client(host);
    let made = client.create(spec("m")).await.unwrap();
    until("it failed", async || state(&client.get(uid(&made)).await.unwrap()) == MicroVmState::Failed).await;
    simulator.set_faults(Faults::default().with(FaultKind::Vanished, 1.0).unwrap());
    let made = client.create(spec("n")).await.unwrap();
    assert!(host.vanish(uid(&made)));
    assert!(matches!(client.get(uid(&made)).await.unwrap_err(), CallError::NotFound { .. }));
    let metrics = simulator.metrics().unwrap();
    for line in [r#"faults_total{kind="failed"} 1"#, r#"faults_total{kind="vanished"} 1"#, r#"microvms{host="1",state="FAILED"} 1"#] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn a_host_goes_down_and_comes_back_with_its_microvms() {
    let simulator = Simulator::start(quick()).unwrap();
    let host = &simulator.hosts()[0];
    let client = client(host);
    let made = client.create(spec("m")).await.unwrap();
    // A call that waits for its answer is cut off too.
    let waiting = {
        simulator.set_faults(Faults::default().with(FaultKind::Slow, 1.0).unwrap());
        let client = client.clone();
        tokio::spawn(async move { client.create(spec("n")).await })
    };
    until("the call has arrived", async || host.microvms().len() == 2).await;
    host.down().await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Transient { cause: Cause::Status { .. }, .. }), "{error:?}");
    // The connection that broke may be noticed before or after the call is sent on it.
    assert!(matches!(client.get(uid(&made)).await.unwrap_err(), CallError::Transient { .. } | CallError::Unsent { .. }));
    simulator.set_faults(Faults::default());
    host.up().unwrap();
    host.up().unwrap();
    // The same client connects again.
    until("it answers", async || client.get(uid(&made)).await.is_ok()).await;
    assert_eq!(team(&client).await.unwrap().len(), 2);

    let address = host.address();
    drop(simulator);
    until("nobody listens any more", async || tokio::net::TcpStream::connect(address).await.is_err()).await;
}

#[tokio::test]
async fn a_running_simulator_is_watched_and_told_over_http() {
    let simulator = Simulator::start(quick()).unwrap();
    let host = &simulator.hosts()[0];
    let client = client(host);
    let foreign = host.put(spec("foreign")).unwrap();
    team(&client).await.unwrap();

    let (code, microvms) = http(&simulator, "GET", "/microvms", "").await;
    let microvms: serde_json::Value = serde_json::from_str(&microvms).unwrap();
    let first = &microvms[0];
    assert_eq!((code, &first["host"], &first["state"], &first["name"]), (200, &1.into(), &"CREATED".into(), &"foreign".into()));
    assert_eq!(first["metadata"]["own"], "token");
    assert_eq!(first["metadata"]["meta-data"], format!("instance_id: {}\n", uid(&foreign)));
    // Its SHA-256, as sha256sum tells it; what it holds is nowhere.
    let secret = serde_json::json!({ "length": 6, "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" });
    assert_eq!(first["metadata"]["user-data"], secret);

    let (_, metrics) = http(&simulator, "GET", "/metrics", "").await;
    for line in [
        r#"capstead_lab_flintlock_calls_total{host="1",method="ListMicroVMs",code="OK"} 1"#,
        r#"capstead_lab_flintlock_response_bytes_total{method="ListMicroVMs"} "#,
        r#"capstead_lab_flintlock_microvms{host="1",state="CREATED"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    let faults = r#"{"unavailable":1.0}"#;
    assert_eq!(http(&simulator, "PUT", "/faults", faults).await, (200, faults.to_owned()));
    assert_eq!(http(&simulator, "GET", "/faults", "").await, (200, faults.to_owned()));
    assert!(client.get(uid(&foreign)).await.is_err());
    let (code, error) = http(&simulator, "PUT", "/faults", r#"{"fire":1}"#).await;
    assert!(code == 422 && error.contains("there is no fault \"fire\"; there are unavailable,"), "{code} {error}");
    assert_eq!(http(&simulator, "PUT", "/faults", "{}").await.0, 200);

    assert_eq!(http(&simulator, "PUT", "/hosts/1/down", "").await.0, 204);
    assert!(matches!(client.get(uid(&foreign)).await.unwrap_err(), CallError::Transient { .. } | CallError::Unsent { .. }));
    assert_eq!(http(&simulator, "PUT", "/hosts/1/up", "").await.0, 204);
    until("it answers", async || client.get(uid(&foreign)).await.is_ok()).await;
    assert_eq!(http(&simulator, "PUT", "/hosts/2/up", "").await, (404, "there is no host 2\n".to_owned()));

    let path = format!("/microvms/{}", uid(&foreign));
    assert_eq!(http(&simulator, "DELETE", &path, "").await.0, 204);
    assert_eq!(http(&simulator, "DELETE", &path, "").await.0, 404);
    assert!(matches!(client.get(uid(&foreign)).await.unwrap_err(), CallError::NotFound { .. }));
}

#[tokio::test]
async fn it_keeps_to_loopback_without_consent() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let error = Simulator::start(Options { listen: vec![everywhere], ..quick() }).unwrap_err();
    assert!(matches!(error, StartError::NotLoopback(_)));
    let simulator = Simulator::start(quick()).unwrap();
    assert!(matches!(simulator.serve_control(everywhere, axum::Router::new()), Err(StartError::NotLoopback(_))));

    let taken = simulator.hosts()[0].address();
    assert!(matches!(Simulator::start(Options { listen: vec![taken], ..quick() }), Err(StartError::Listen { .. })));
    for (hosts, port) in [(0, 0), (2, u16::MAX)] {
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        assert!(matches!(Simulator::start(Options { hosts, listen: vec![listen], ..quick() }), Err(StartError::Hosts { .. })));
    }
}

/// Who remembers what became of whom.
#[derive(Debug, Default)]
struct Witness(std::sync::Mutex<Vec<String>>);

impl Witness {
    fn says(&self, what: &str, microvm: &MicroVm) {
        self.0.lock().unwrap().push(format!("{what} {}", microvm.spec.as_ref().unwrap().id));
    }

    fn said(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl capstead_lab::flintlock::Guests for Witness {
    fn boot(&self, microvm: &MicroVm) {
        self.says("boots", microvm);
    }

    fn end(&self, _uid: &str) {
        self.0.lock().unwrap().push("ends".into());
    }

    fn resume(&self, microvms: &[MicroVm]) {
        microvms.iter().for_each(|microvm| self.says("resumes", microvm));
    }
}

#[tokio::test]
async fn microvms_outlive_the_simulator() {
    let state = tempfile::tempdir().unwrap();
    let start = |listen: Option<std::net::SocketAddr>| {
        let witness = std::sync::Arc::new(Witness::default());
        let mut options = Options { state: Some(state.path().to_owned()), guests: Some(witness.clone()), ..quick() };
        if let Some(listen) = listen {
            options.listen = vec![listen];
        }
        (Simulator::start(options).unwrap(), witness)
    };
    let (simulator, witness) = start(None);
    let address = simulator.hosts()[0].address();
    let one = client(&simulator.hosts()[0]);
    let (kept, ended) = (one.create(spec("kept")).await.unwrap(), one.create(spec("ended")).await.unwrap());
    until("both run", async || witness.said().len() == 2).await;
    one.delete(uid(&ended)).await.unwrap();
    until("one has ended", async || witness.said().last().is_some_and(|last| last == "ends")).await;
    let before = one.get(uid(&kept)).await.unwrap();
    simulator.hosts()[0].down().await;
    drop(simulator);

    let (simulator, witness) = start(Some(address));
    assert_eq!(witness.said(), ["resumes kept"]);
    assert_eq!(client(&simulator.hosts()[0]).get(uid(&kept)).await.unwrap(), before);
    assert_eq!(simulator.hosts()[0].microvms().len(), 1);
    drop(simulator);
    std::fs::write(state.path().join("host-1/x.json"), "?").unwrap();
    let options = Options { state: Some(state.path().to_owned()), ..quick() };
    assert!(matches!(Simulator::start(options), Err(StartError::Memory(_))));
}
