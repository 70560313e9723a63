use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Request;
use http::Response;
use http_body_util::BodyExt;
use kube::Client;
use kube::Config;
use kube::client::Body;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;

use super::Access;
use super::Health;
use super::ServeError;
use crate::certificates::Certificates;
use crate::certificates::Lifetimes;
use crate::certificates::Source;
use crate::metrics::Metrics;

async fn get(client: &Client, path: &str, token: Option<&str>) -> (u16, String) {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = client.send(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

fn client(url: String, trust: Option<String>) -> Client {
    let mut config = Config::new(url.parse().unwrap());
    config.root_cert = trust.map(|pem| vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()]);
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn health_tells_what_is_wrong() {
    let health = Health::new();
    let (ready, value) = watch::channel(false);
    health.ready_while("webhook", value);
    health.live("broken", || Err("it is".to_owned()));
    let server = super::health("127.0.0.1:0", &health).await.unwrap().unwrap();
    let client = client(format!("http://{}", server.address()), None);
    let failed = |text: &str| (500, text.to_owned());
    assert_eq!(get(&client, "/healthz", None).await, failed("[+]ping ok\n[-]broken failed: it is\nhealthz check failed\n"));
    assert_eq!(get(&client, "/readyz", None).await, failed("[+]ping ok\n[-]webhook failed: not yet\nreadyz check failed\n"));
    assert_eq!(get(&client, "/readyz/webhook", None).await, failed("not yet\n"));
    ready.send_replace(true);
    assert_eq!(get(&client, "/readyz", None).await, (200, "ok".to_owned()));
    assert_eq!(get(&client, "/readyz?verbose", None).await, (200, "[+]ping ok\n[+]webhook ok\nreadyz check passed\n".to_owned()));
    assert_eq!(get(&client, "/readyz/webhook", None).await.0, 200);
    assert_eq!(get(&client, "/readyz/ping", None).await, (200, "ok".to_owned()));
    assert_eq!(get(&client, "/healthz/nothing", None).await.0, 404);
    server.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn an_address_can_be_nowhere_everywhere_or_taken() {
    for nowhere in ["", "0"] {
        assert!(super::health(nowhere, &Health::new()).await.unwrap().is_none());
    }
    let everywhere = super::health(":0", &Health::new()).await.unwrap().unwrap();
    assert!(everywhere.address().ip().is_unspecified());
    let client = client(format!("http://127.0.0.1:{}", everywhere.address().port()), None);
    assert_eq!(get(&client, "/healthz", None).await.0, 200);
    let taken = super::health(&format!(":{}", everywhere.address().port()), &Health::new()).await;
    assert!(matches!(taken, Err(ServeError::Listen { .. })));
    assert!(matches!(super::health("nonsense", &Health::new()).await, Err(ServeError::Listen { .. })));
}

/// Knows the tokens `good` and `weak`; only the first may read. Counts what it is asked.
fn reviewer(asked: Arc<AtomicUsize>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let asked = Arc::clone(&asked);
        async move {
            asked.fetch_add(1, Ordering::SeqCst);
            let path = request.uri().path().to_owned();
            let mut review: Value = serde_json::from_slice(&request.into_body().collect().await.unwrap().to_bytes()).unwrap();
            review["status"] = if path.ends_with("/tokenreviews") {
                let token = review["spec"]["token"].as_str().unwrap().to_owned();
                json!({"authenticated": token == "good" || token == "weak", "user": {"username": token}})
            } else {
                assert_eq!(review["spec"]["nonResourceAttributes"], json!({"path": "/metrics", "verb": "get"}));
                json!({"allowed": review["spec"]["user"] == "good"})
            };
            Ok::<_, std::io::Error>(Response::new(Body::from(review.to_string().into_bytes())))
        }
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn metrics_are_for_whom_the_api_server_lets_read_them() {
    let names = vec!["127.0.0.1".to_owned()];
    let certificates = Certificates::start(Source::Memory { names, lifetimes: Lifetimes::default() }).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let access = Access::new(reviewer(Arc::clone(&asked)));
    let tls = certificates.server_config().unwrap();
    let server = super::diagnostics("127.0.0.1:0", &Metrics::new(), access, tls).await.unwrap().unwrap();
    let trust = certificates.trust().borrow().clone();
    let client = client(format!("https://{}", server.address()), trust);
    assert_eq!(get(&client, "/metrics", None).await.0, 401);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "without a token nobody is asked");
    assert_eq!(get(&client, "/metrics", Some("forged")).await.0, 401);
    assert_eq!(get(&client, "/metrics", Some("weak")).await.0, 403);
    let (status, text) = get(&client, "/metrics", Some("good")).await;
    assert_eq!(status, 200);
    assert!(text.contains("process_open_fds"), "{text}");
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(get(&client, "/metrics", Some("good")).await.0, 200);
    assert_eq!(asked.load(Ordering::SeqCst), before, "the answer is remembered");
}

#[tokio::test]
async fn insecure_metrics_are_for_anyone() {
    let server = super::insecure_diagnostics("127.0.0.1:0", &Metrics::new()).await.unwrap().unwrap();
    let client = client(format!("http://{}", server.address()), None);
    assert!(get(&client, "/metrics", None).await.1.ends_with("# EOF\n"));
}
