//! A host behind TLS, a token and a proxy, and Secrets that come late, are wrong, and are put right: nothing is restarted.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use capstead_vmm::guest;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use serde_json::json;
use tokio::runtime::Handle;

use crate::registry;
use crate::registry::Entry;
use crate::registry::TestRegistry;
use crate::support::host::HostDaemon;
use crate::team::ONE;
use crate::team::Team;
use crate::world::CLUSTER;
use crate::world::MANAGER;
use crate::world::MICROVM_CLUSTER;
use crate::world::SECRET;
use crate::world::World;

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// An HTTP proxy that only CONNECTs; counts the tunnels.
fn proxy() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tunnels = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tunnels);
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    client.read_exact(&mut byte)?;
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
                let mut host = TcpStream::connect(target)?;
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
                counted.fetch_add(1, Ordering::Relaxed);
                let (mut from_client, mut to_host) = (client.try_clone()?, host.try_clone()?);
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from_client, &mut to_host);
                    let _ = to_host.shutdown(Shutdown::Write);
                });
                std::io::copy(&mut host, &mut client)?;
                client.shutdown(Shutdown::Both)
            });
        }
    });
    (address, tunnels)
}

pub fn a_host_is_reached_by_certificates_a_token_and_a_proxy_that_may_change(world: &World) {
    let folder = tempfile::Builder::new().prefix("host").tempdir().unwrap();
    let registry = world.inside(|| {
        Handle::current().block_on(async {
            let registry = TestRegistry::start(folder.path()).await;
            let kernel = guest::elf(guest::IDLE);
            let layer = registry::tar(&[Entry::Folder("boot"), Entry::File("boot/vmlinux", &kernel)]);
            registry.push("guest:1", vec![registry::gzip(&layer)]).await;
            registry
        })
    });
    let authority = Authority::new();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = authority.issue("127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth);
    let (cert, key, ca) = (file("tls.crt", &cert), file("tls.key", &key), file("ca.crt", &authority.pem));
    let tls = ["--tls-cert", &cert, "--tls-key", &key, "--tls-client-validate", "--tls-client-ca", &ca];
    let daemon = HostDaemon::start(&folder.path().join("s"), &[&tls[..], &["--basic-auth-token", "open sesame"]].concat());
    let (proxy, tunnels) = proxy();

    let team = Team::new(world, "secured");
    let hosts = json!([{"endpoint": daemon.address, "controlplaneAllowed": true}]);
    let spec = json!({
        "controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443},
        "placement": {"staticPool": {"hosts": hosts, "basicAuthSecret": "tokens"}},
        "tlsSecretRef": "tls",
        "microvmProxy": {"endpoint": format!("http://{proxy}")},
    });
    world.create(&team.object(MICROVM_CLUSTER, ONE, &spec));
    team.cluster();
    team.wait(CLUSTER, ONE, "its infrastructure is there", |cluster| {
        cluster["status"]["initialization"]["infrastructureProvisioned"] == true
    });
    let pid = world.plane.pids()[MANAGER];
    team.secret("m", &json!({"value": "#cloud-config\n"}));
    let mut machine = team.microvm_machine("m");
    let image = format!("{}/guest:1", registry.address);
    machine["spec"]["vcpu"] = json!(1);
    machine["spec"]["rootVolume"]["image"] = json!(image);
    machine["spec"]["kernel"]["image"] = json!(image);
    world.create(&machine);
    world.create(&team.core_machine("m"));

    // A Secret that is missing is named with the field that names it.
    team.waits("m", "HostUnreachable", &["Secret tls, which spec.tlsSecretRef names, does not exist"]);
    let (client, client_key) = authority.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    team.secret("tls", &json!({"ca.crt": authority.pem, "tls.crt": client, "tls.key": client_key}));
    team.waits("m", "HostUnreachable", &["Secret tokens, which spec.placement.staticPool.basicAuthSecret names, does not exist"]);
    // One that is wrong is told by the host; put right, it counts without a restart.
    team.secret("tokens", &json!({"127.0.0.1": "open says me"}));
    team.waits("m", "HostUnreachable", &["Unauthenticated"]);
    world.merge(SECRET, "secured", "tokens", &json!({"stringData": {"127.0.0.1": "open sesame"}}));
    team.ready("m");
    assert!(tunnels.load(Ordering::Relaxed) > 0, "through the proxy");
    assert_eq!(world.plane.pids()[MANAGER], pid, "nothing was restarted");
    team.clear();
}
