//! Serves one API with a few objects, for trying clients on it by hand.
use capstead_workload::api::{self, Backend};
use capstead_workload::authority::Authority;
use capstead_workload::store::{Deletion, Shared, Store};
use futures::future::BoxFuture;
use serde_json::json;
use std::io;
use std::sync::Arc;

struct Plain(Shared);
impl Backend for Plain {
    fn store(&self) -> &Shared {
        &self.0
    }
    fn version(&self) -> String {
        "v1.36.3".into()
    }
    fn connect<'a>(&'a self, _: &'a str, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<tokio::io::DuplexStream>> {
        Box::pin(async {
            let (ours, theirs) = tokio::io::duplex(4096);
            tokio::spawn(async move {
                let (mut r, mut w) = tokio::io::split(ours);
                let _ = tokio::io::copy(&mut r, &mut w).await;
            });
            Ok(theirs)
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("directory")?;
    let (ca, key) = (std::fs::read_to_string(format!("{directory}/ca.crt"))?, std::fs::read_to_string(format!("{directory}/ca.key"))?);
    let authority = Authority::from_pem(&ca, &key)?;
    let leaf = authority.server(&["127.0.0.1", "kubernetes", "localhost"])?;
    let client = authority.client("admin", "system:masters")?;
    let mut store = Store::new(1);
    let now = jiff::Timestamp::now();
    for ns in ["default", "kube-system", "kube-public", "kube-node-lease"] {
        store.create("namespaces", json!({"apiVersion":"v1","kind":"Namespace","metadata":{"name":ns},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}}), now)?;
    }
    for n in 0..3 {
        let node = format!("node-{n}");
        store.create("nodes", json!({"apiVersion":"v1","kind":"Node","metadata":{"name":node,"labels":{"node-role.kubernetes.io/control-plane":"","kubernetes.io/hostname":node}},"spec":{"providerID":format!("x://{n}"),"taints":[{"key":"a","effect":"NoSchedule"}]},"status":{"capacity":{"cpu":"2","memory":"4Gi","pods":"110"},"allocatable":{"cpu":"2","memory":"4Gi","pods":"110"},"nodeInfo":{"kubeletVersion":"v1.36.3","osImage":"Linux","kernelVersion":"6.1","containerRuntimeVersion":"containerd://2.0","architecture":"amd64","operatingSystem":"linux","bootID":"","machineID":"","systemUUID":"","kubeProxyVersion":""},"addresses":[{"type":"InternalIP","address":format!("10.0.0.{n}")}],"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady","lastHeartbeatTime":"2026-01-01T00:00:00Z","lastTransitionTime":"2026-01-01T00:00:00Z","message":"kubelet is posting ready status"}]}}), now)?;
        for c in ["etcd", "kube-apiserver"] {
            store.create("pods", json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":format!("{c}-{node}"),"namespace":"kube-system","labels":{"component":c,"tier":"control-plane"}},"spec":{"nodeName":node,"containers":[{"name":c,"image":"x"}]},"status":{"phase":"Running","podIP":"10.0.0.1","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"name":c,"ready":true,"restartCount":0,"image":"x","imageID":"","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}), now)?;
        }
    }
    let shared = Shared::new(store);
    // A kubelet: pods that end are gone at once.
    let kubelet = shared.clone();
    tokio::spawn(async move {
        let mut changed = kubelet.lock().subscribe();
        loop {
            {
                let mut store = kubelet.lock();
                changed.mark_unchanged();
                let ending: Vec<_> = store.list("pods", None).filter(|p| p.terminating()).cloned().collect();
                for pod in ending {
                    let _ = store.delete("pods", pod.namespace(), pod.name(), &Deletion::default(), jiff::Timestamp::now());
                }
            }
            if changed.changed().await.is_err() {
                return;
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let tls = authority.server_config(&leaf, true, &["h2", "http/1.1"])?;
    let running = api::serve(listener, tls, api::router(Arc::new(Plain(shared))))?;
    let b64 = |t: &str| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(t)
    };
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'https://{}', certificate-authority-data: {}}}}}]\nusers: [{{name: u, user: {{client-certificate-data: {}, client-key-data: {}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
        running.address(),
        b64(&ca),
        b64(client.certificate_pem()),
        b64(client.key_pem())
    );
    std::fs::write(format!("{directory}/kubeconfig"), config)?;
    println!("{}", running.address());
    std::future::pending::<()>().await;
    Ok(())
}
