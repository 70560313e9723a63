//! A Machine's objects in the management cluster. Nothing is changed, and neither Secrets nor what bootstrap data are made of is read.

use anyhow::bail;
use capstead_doctor::Object;
use capstead_engine::client;
use capstead_engine::client::ClientError;
use http::Request;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use crate::cli::Debug;
use crate::commands::doctor::management::BOOTSTRAP;
use crate::commands::doctor::management::CORE;
use crate::commands::doctor::management::MICROVM;
use crate::commands::vm::find::is_uid;

/// Who we are to the API server.
const USER_AGENT: &str = concat!("capstead-debug/", env!("CARGO_PKG_VERSION"));
/// What a Machine says whose node is Ready.
const NODE_READY: &str = "NodeReady";
/// Most objects of one kind.
const MOST: usize = 500;

/// What the management cluster has of a machine.
#[derive(Debug)]
pub struct Objects {
    /// Its address.
    pub server: String,
    /// The Machine, the MicrovmMachine, the Cluster, the MicrovmCluster and the KubeadmConfig, as far as they are there.
    pub all: Vec<Object>,
}

impl Objects {
    /// The one of a kind.
    pub fn of(&self, kind: &str) -> Option<&Object> {
        self.all.iter().find(|object| object.kind() == kind)
    }

    /// Whether the Machine has a node that is Ready.
    pub fn is_node(&self) -> bool {
        self.of("Machine").is_some_and(|machine| machine.is(NODE_READY))
    }
}

/// Looks for the machine; `None` where there is no cluster to ask, or it has none of this name.
pub async fn find(args: &Debug, namespace: Option<&str>, name: &str) -> anyhow::Result<Option<Objects>> {
    let config = match client::config(args.kubeconfig.as_deref(), USER_AGENT).await {
        Ok(config) => config,
        Err(ClientError::NoCluster(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let asker = Asker { client: Client::try_from(config)?, now: Timestamp::now() };
    let Some((machine, infrastructure)) = asker.pair(namespace, name).await? else { return Ok(None) };
    let own = machine.as_ref().or(infrastructure.as_ref()).map(|object| (object.namespace().to_owned(), object.cluster().to_owned()));
    let mut all = Vec::new();
    if let Some((namespace, cluster)) = own.filter(|(_, cluster)| !cluster.is_empty()) {
        let owner = asker.named("Cluster", CORE, "clusters", Some(&namespace), &cluster).await?;
        let reference = owner.first().map(|owner| owner.text("/spec/infrastructureRef/name").to_owned()).unwrap_or_default();
        all.extend(owner);
        all.extend(asker.named("MicrovmCluster", MICROVM, "microvmclusters", Some(&namespace), &reference).await?);
    }
    if let Some(machine) = &machine {
        let config = machine.text("/spec/bootstrap/configRef/name");
        all.extend(asker.named("KubeadmConfig", BOOTSTRAP, "kubeadmconfigs", Some(machine.namespace()), config).await?);
    }
    all.extend(machine);
    all.extend(infrastructure);
    Ok(Some(Objects { server, all }))
}

struct Asker {
    client: Client,
    now: Timestamp,
}

impl Asker {
    /// The Machine and its MicrovmMachine; either may be what is named.
    async fn pair(&self, namespace: Option<&str>, name: &str) -> anyhow::Result<Option<(Option<Object>, Option<Object>)>> {
        if is_uid(name) {
            let all = self.list("MicrovmMachine", MICROVM, "microvmmachines", namespace, "").await?;
            let own = |object: &Object| object.text("/spec/providerID").rsplit('/').next() == Some(name);
            let Some(infrastructure) = all.into_iter().find(own) else { return Ok(None) };
            return Ok(Some((self.owner(&infrastructure).await?, Some(infrastructure))));
        }
        if let Some(machine) = one(self.named("Machine", CORE, "machines", namespace, name).await?)? {
            let kind = machine.text("/spec/infrastructureRef/kind");
            if kind != "MicrovmMachine" {
                bail!("{} is a {kind}, and no microVM: give its address", machine.called());
            }
            let reference = machine.text("/spec/infrastructureRef/name");
            let found = self.named("MicrovmMachine", MICROVM, "microvmmachines", Some(machine.namespace()), reference).await?;
            return Ok(Some((Some(machine), found.into_iter().next())));
        }
        match one(self.named("MicrovmMachine", MICROVM, "microvmmachines", namespace, name).await?)? {
            Some(infrastructure) => Ok(Some((self.owner(&infrastructure).await?, Some(infrastructure)))),
            None => Ok(None),
        }
    }

    async fn owner(&self, infrastructure: &Object) -> anyhow::Result<Option<Object>> {
        let owner = infrastructure.items("/metadata/ownerReferences").find(|owner| owner["kind"] == "Machine");
        let name = owner.and_then(|owner| owner["name"].as_str()).unwrap_or_default();
        Ok(self.named("Machine", CORE, "machines", Some(infrastructure.namespace()), name).await?.into_iter().next())
    }

    /// Those of a name; a text that can be no name has none.
    async fn named(
        &self,
        kind: &str,
        versions: &[&str],
        plural: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Vec<Object>, kube::Error> {
        let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c));
        if !plain(name) || !namespace.is_none_or(plain) {
            return Ok(Vec::new());
        }
        self.list(kind, versions, plural, namespace, &format!("&fieldSelector=metadata.name={name}")).await
    }

    async fn list(
        &self,
        kind: &str,
        versions: &[&str],
        plural: &str,
        namespace: Option<&str>,
        only: &str,
    ) -> Result<Vec<Object>, kube::Error> {
        let namespace = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        for version in versions {
            let request = Request::get(format!("/{version}{namespace}/{plural}?limit={MOST}{only}")).body(Vec::new());
            match self.client.request::<Value>(request.map_err(kube::Error::HttpError)?).await {
                Ok(mut list) => {
                    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                    return Ok(items.into_iter().map(|item| Object::new(kind, shown(kind, item), self.now)).collect());
                }
                Err(kube::Error::Api(status)) if status.code == 404 => (),
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }
}

/// Files and tokens of a KubeadmConfig are nothing that this command needs to know.
fn shown(kind: &str, mut item: Value) -> Value {
    if let (true, Some(fields)) = (kind == "KubeadmConfig", item.as_object_mut()) {
        fields.remove("spec");
    }
    item
}

fn one(found: Vec<Object>) -> anyhow::Result<Option<Object>> {
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(Object::called).collect();
        bail!("{} have this name: {}; name one by NAMESPACE/NAME", names.len(), names.join(", "));
    }
    Ok(found.into_iter().next())
}
