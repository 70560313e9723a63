//! Three members of an etcd cluster behind port-forward, as Cluster API's control plane provider reaches them, to try clients on by hand.
//!
//! `cargo run -p capstead-workload --example etcd -- FOLDER` writes `ca.pem`, `client.pem` and `client-key.pem` there, and then tells its address.
//! The pods are `kube-system/etcd-a`, `-b` and `-c` with port 2379. Port 7 of pod `echo` sends back what it gets, pod `stop-b` stops member b when connected to.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::extract::Request;
use axum::routing::any;
use capstead_workload::etcd::Cluster;
use capstead_workload::etcd::Etcd;
use capstead_workload::etcd::EtcdError;
use capstead_workload::etcd::Health;
use capstead_workload::etcd::offer_http2;
use capstead_workload::tunnel::portforward;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("which folder?")?);
    let tls = certificates(&folder)?;
    let etcd = Etcd::new(members()?, Duration::from_secs(2));
    let forward = move |Path((_, pod)): Path<(String, String)>, request: Request| async move {
        let connect = move |port| std::future::ready(target(&etcd, &tls, &pod, port));
        portforward(request, connect, std::future::pending()).await
    };
    let app = Router::new().route("/api/v1/namespaces/{namespace}/pods/{pod}/portforward", any(forward));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

fn members() -> Result<Cluster, EtcdError> {
    let url = |name: &str, port: u16| vec![format!("https://{name}:{port}")];
    let mut cluster = Cluster::new("example", "a", url("a", 2380), url("a", 2379));
    for name in ["b", "c"] {
        let id = cluster.add(url(name, 2380), true)?;
        cluster.start(id, name, url(name, 2379))?;
        cluster.promote(id)?;
    }
    Ok(cluster)
}

fn target(etcd: &Etcd, tls: &Arc<ServerConfig>, pod: &str, port: u16) -> io::Result<DuplexStream> {
    match (pod, port) {
        ("echo", 7) => {
            let (near, far) = tokio::io::duplex(1024);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(far);
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
            Ok(near)
        }
        ("stop-b", _) => {
            let stopped = etcd.change(|cluster| cluster.set_health(cluster.named("b").ok_or(EtcdError::NotFound)?, Health::Stopped));
            Err(io::Error::other(format!("{stopped:?}")))
        }
        (_, 2379) => {
            let member = etcd.read(|cluster| cluster.named(pod.strip_prefix("etcd-").unwrap_or(pod)));
            etcd.connect(member.ok_or(io::ErrorKind::ConnectionRefused)?, tls)
        }
        _ => Err(io::ErrorKind::ConnectionRefused.into()),
    }
}

fn certificates(folder: &std::path::Path) -> Result<Arc<ServerConfig>, Box<dyn Error>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate()?;
    let ca = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let (server_key, client_key) = (KeyPair::generate()?, KeyPair::generate()?);
    let server = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&server_key, &issuer)?;
    let client = CertificateParams::new(vec!["client".to_owned()])?.signed_by(&client_key, &issuer)?;
    std::fs::write(folder.join("ca.pem"), ca.pem())?;
    std::fs::write(folder.join("client.pem"), client.pem())?;
    std::fs::write(folder.join("client-key.pem"), client_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let key = PrivateKeyDer::try_from(server_key.serialize_der())?;
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], key)?;
    Ok(offer_http2(tls))
}
