//! A workload cluster from inside: nginx.

use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use capstead_journeys::config::Nginx;
use capstead_journeys::stage::Wants;
use capstead_journeys::stage::Workload;
use http::Request;
use kube::Client;
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;
use tokio::time::timeout;

use crate::commands::cluster::ANSWER;
use crate::commands::cluster::World;
use crate::commands::cluster::get;

/// The name of all that is deployed.
const NGINX: &str = "nginx";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/nginx";
const SERVICE: &str = "/api/v1/namespaces/default/services/nginx";
const NODES: &str = "/api/v1/nodes";
/// How long nginx may take for its page.
const PAGE_WITHIN: Duration = Duration::from_secs(2);
/// The API server asks a pod behind the Service for its page: for that nothing needs to be reachable but the API server.
const PAGE: &str = "/api/v1/namespaces/default/services/http:nginx:80/proxy/";

/// Its administrator's kubeconfig, as Cluster API keeps it.
pub async fn kubeconfig(world: &World) -> anyhow::Result<Kubeconfig> {
    let path = format!("/api/v1/namespaces/{}/secrets/{}-kubeconfig", world.namespace, world.cluster);
    let secret: Value = get(&world.plane, &path).await.context("its kubeconfig is not there")?;
    let value = secret["data"]["value"].as_str().context("its kubeconfig's Secret has no value")?;
    Ok(Kubeconfig::from_yaml(&String::from_utf8(BASE64.decode(value)?)?)?)
}

/// A client of the cluster itself, as its administrator.
pub async fn client(world: &World) -> anyhow::Result<Client> {
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig(world).await?, &KubeConfigOptions::default()).await?;
    config.connect_timeout = Some(Duration::from_secs(3));
    Ok(Client::try_from(config)?)
}

/// What is to be deployed.
pub fn objects(nginx: &Nginx) -> Vec<Value> {
    let labels = json!({"app": NGINX});
    let container = json!({"name": NGINX, "image": nginx.image, "imagePullPolicy": "IfNotPresent", "ports": [{"containerPort": 80}]});
    vec![
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NGINX, "namespace": "default", "labels": labels},
            "spec": {
                "replicas": nginx.replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": NGINX, "namespace": "default", "labels": labels},
            "spec": {"type": "NodePort", "selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 80}]},
        }),
    ]
}

/// Asks the cluster what a stage wants to know.
pub async fn look(client: impl Future<Output = anyhow::Result<&Client>>, wants: Wants) -> Workload {
    if !wants.workload {
        return Workload::Unasked;
    }
    let looked = timeout(ANSWER, asked(client, wants)).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {ANSWER:?}")));
    looked.unwrap_or_else(|error| Workload::Silent(format!("{error:#}")))
}

async fn asked(client: impl Future<Output = anyhow::Result<&Client>>, wants: Wants) -> anyhow::Result<Workload> {
    let client = client.await?;
    let deployment = match get::<Value>(client, DEPLOYMENT).await {
        Ok(mut deployment) => {
            deployment["kind"] = "Deployment".into();
            Some(Box::new(deployment))
        }
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => return Err(error.into()),
    };
    let answer = match wants.answer {
        true => page(client).await,
        false => Err("it was not asked".into()),
    };
    let system = if wants.system { system(client).await? } else { Vec::new() };
    Ok(Workload::Seen { deployment, answer, system })
}

/// What the cluster runs, nginx among it.
async fn system(client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for (kind, path) in [("Deployment", "/apis/apps/v1/deployments"), ("DaemonSet", "/apis/apps/v1/daemonsets")] {
        let mut list: Value = get(client, path).await?;
        let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        all.extend(items.into_iter().map(|mut item| {
            item["kind"] = kind.into();
            item
        }));
    }
    Ok(all)
}

/// Whether somebody behind the Service gives a page: at its port on a node, or, where nodes are out of reach, asked by the API server.
async fn page(client: &Client) -> Result<(), String> {
    let Err(why) = at_node(client).await else { return Ok(()) };
    by_api_server(client).await.map_err(|other| format!("{why}; asked by the API server: {other}"))
}

async fn at_node(client: &Client) -> Result<(), String> {
    let ask = async |path: &str| get::<Value>(client, path).await.map_err(|error| error.to_string());
    let (service, nodes) = tokio::try_join!(ask(SERVICE), ask(NODES))?;
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().ok_or("the Service has no port on nodes")?;
    let addresses = nodes["items"].as_array().into_iter().flatten().flat_map(|node| node["status"]["addresses"].as_array()).flatten();
    let mut why = "no node has an address".to_owned();
    for address in addresses.filter(|address| address["type"] == "InternalIP").filter_map(|address| address["address"].as_str()) {
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let url = format!("http://{host}:{port}").parse().map_err(|_| format!("a node has the address {address:?}"))?;
        let asked = async {
            let node = Client::try_from(kube::Config::new(url))?;
            node.request_text(Request::get("/").body(Vec::new()).map_err(kube::Error::HttpError)?).await
        };
        match timeout(PAGE_WITHIN, asked).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => why = format!("{host}:{port}: {error}"),
            Err(_) => why = format!("{host}:{port}: no answer within {PAGE_WITHIN:?}"),
        }
    }
    Err(why)
}

async fn by_api_server(client: &Client) -> Result<(), String> {
    let request = Request::get(PAGE).body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect_bytes().await.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&body);
    if status.is_success() { Ok(()) } else { Err(format!("{status}: {}", said.lines().next().unwrap_or_default())) }
}
