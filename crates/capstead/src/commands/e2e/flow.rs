//! One cluster of the suite, from its template to its end.

use std::time::Duration;

use anyhow::Context;
use capstead_journeys::config;
use capstead_journeys::config::Nginx;
use capstead_journeys::log::Ended;
use capstead_journeys::patience;
use capstead_journeys::place::place;
use capstead_journeys::stage::Lost;
use capstead_journeys::stage::Next;
use capstead_journeys::stage::Seen;
use capstead_journeys::stage::Stage;
use capstead_journeys::stage::Step;
use capstead_journeys::stage::Wish;
use capstead_journeys::tree::machines;
use capstead_journeys::upgrade::health_check;
use capstead_journeys::upgrade::raised;
use capstead_microvm::convert::convert;
use capstead_plane::api;
use capstead_plane::api::ApiError;
use kube::Client;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio::time::timeout;

use super::artefacts;
use super::artefacts::Artefacts;
use super::artefacts::readable;
use super::ground::Ground;
use super::ground::random;
use super::settings::Settings;
use super::workload;
use crate::cli::GenerateCluster;
use crate::cli::Output;
use crate::commands::cluster::ANSWER;
use crate::commands::cluster::World;
use crate::commands::cluster::get;
use crate::commands::cluster::table;
use crate::commands::generate;
use crate::commands::real::kill;
use crate::commands::stages::Stages;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);
/// How often where machines are emulated, which have little to spare for whoever looks.
const SLOW_LOOK: Duration = Duration::from_secs(3);
/// For a change that the API server does not answer.
const CHANGE: Duration = Duration::from_secs(60);
/// What machines bring when they become nodes.
const BROUGHT: [&str; 17] = [
    "/api/v1/namespaces",
    "/api/v1/nodes",
    "/api/v1/serviceaccounts",
    "/api/v1/configmaps",
    "/api/v1/secrets",
    "/api/v1/services",
    "/api/v1/pods",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
];
/// The stage before those of a cluster: pure work.
const GENERATE: &str = "template";
const GENERATED: &str = "the cluster's objects are made, and have the hosts";
/// The template's variable.
const ROOT_IMAGE: &str = "MVM_ROOT_IMAGE";
const GROUP: &str = "infrastructure.cluster.x-k8s.io";

/// One cluster, in a namespace of its own.
pub struct Flow<'a> {
    settings: &'a Settings,
    flow: &'a config::Flow,
    ground: &'a Ground,
    endpoint: &'a str,
    world: World,
    /// The cluster itself, once it is known how to reach it.
    inside: OnceCell<Client>,
    wish: Wish,
    objects: Vec<Value>,
    applied: bool,
    /// The worker that is to lose its microVM.
    lost: Option<Lost>,
    /// Whether there may be something to delete.
    begun: bool,
}

/// Why a step was not done.
enum Undone {
    /// It will never be.
    Refused(anyhow::Error),
    /// The next time, perhaps.
    Again(anyhow::Error),
}

impl<'a> Flow<'a> {
    /// The n-th. Nothing is done yet.
    pub fn new(settings: &'a Settings, ground: &'a Ground, n: usize) -> anyhow::Result<Self> {
        let name = settings.config.flows.get(n).map(|flow| flow.name.as_str()).unwrap_or_default();
        let id = random();
        Self::named(settings, ground, n, &format!("{name}-{id}"), &format!("e2e-{name}-{id}"))
    }

    /// The n-th, with a cluster and a namespace of these names.
    pub fn named(settings: &'a Settings, ground: &'a Ground, n: usize, cluster: &str, namespace: &str) -> anyhow::Result<Self> {
        let flow = settings.config.flows.get(n).context("there is no such flow")?;
        let endpoint = ground.endpoints.get(n).context("the cluster has no address")?;
        let world = World::new(ground.api.clone(), cluster, namespace, &flow.api_version, &ground.hosts)?;
        let upgrade = flow.upgrade_from().map(|_| settings.version.clone());
        let wish = Wish { upgrade, replaces: flow.replaces, ..settings.wish.clone() };
        let inside = OnceCell::new();
        Ok(Self { settings, flow, ground, endpoint, world, inside, wish, objects: Vec::new(), applied: false, lost: None, begun: false })
    }

    /// The cluster, and whom to ask about it.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The namespace, on the management cluster and on hosts.
    pub fn namespace(&self) -> &str {
        &self.world.namespace
    }

    /// Goes through all stages but the last, up to the first that fails; tells whether none did.
    pub async fn run(&mut self, stages: &mut Stages, artefacts: &Artefacts) -> bool {
        stages.begin(&self.flow.name, GENERATE, GENERATED, Duration::from_secs(1));
        let made = self.generate(artefacts).await;
        let mut failed = made.is_err().then_some(GENERATE);
        stages.end(made.map_or_else(|error| Ended::Failed(format!("{error:#}")), |()| Ended::Passed));
        for stage in Stage::of(&self.wish).filter(|stage| *stage != Stage::Delete) {
            let left_out = stage.left_out(&self.wish).map(str::to_owned);
            if let Some(why) = failed.map(|failed| format!("{failed} failed")).or(left_out) {
                self.skip(stages, stage, &why);
                continue;
            }
            if !self.go(stages, stage).await {
                failed = Some(stage.name());
            }
        }
        failed.is_none()
    }

    /// Deletes what an earlier run left of the cluster.
    pub async fn delete_earlier(&mut self, stages: &mut Stages) {
        let deadline = Instant::now() + CHANGE;
        // A server that has just come up may ask for patience.
        let mut next = self.turn(Stage::Delete).await;
        while next.is_err() && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            next = self.turn(Stage::Delete).await;
        }
        if !matches!(next, Ok(Next::Over)) {
            self.go(stages, Stage::Delete).await;
        }
    }

    /// The last stage, which nothing is a reason to leave out but that there is nothing.
    pub async fn delete(&mut self, stages: &mut Stages, artefacts: &Artefacts) {
        if !self.begun {
            self.skip(stages, Stage::Delete, "nothing was made");
        } else if !self.go(stages, Stage::Delete).await {
            self.dump(artefacts, "after-delete-").await;
        }
    }

    /// Leaves out what `delete` does.
    pub fn skip_delete(&self, stages: &mut Stages, why: &str) {
        self.skip(stages, Stage::Delete, why);
    }

    /// Leaves all out.
    pub fn skip_all(&self, stages: &mut Stages, why: &str) {
        stages.skip(&self.flow.name, GENERATE, GENERATED, Duration::from_secs(1), why);
        Stage::of(&self.wish).for_each(|stage| self.skip(stages, stage, why));
    }

    fn skip(&self, stages: &mut Stages, stage: Stage, why: &str) {
        stages.skip(&self.flow.name, stage.name(), stage.title(), stage.expected(self.settings.simulated()), why);
    }

    /// The objects, in the flow's version of the API, with every host.
    async fn generate(&mut self, artefacts: &Artefacts) -> anyhow::Result<()> {
        let first = self.flow.upgrade_from().unwrap_or_else(|| self.settings.version.clone());
        let mut objects = self.of_version(&first)?;
        artefacts.template(&self.flow.name, artefacts::RAW, &objects)?;
        self.place(&mut objects)?;
        artefacts.template(&self.flow.name, artefacts::TEMPLATE, &objects)?;
        self.objects = objects;
        free(self.endpoint).await
    }

    fn of_version(&self, version: &str) -> anyhow::Result<Vec<Value>> {
        let mut objects = generate::objects(&self.wanted(version)?)?;
        if self.ground.nodes.slow {
            patience::give(&mut objects, self.wish.upgrade.is_some());
        }
        let version = format!("{GROUP}/{}", self.flow.api_version);
        for object in &mut objects {
            if object["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP)) {
                *object = convert(object.take(), &version)?;
            }
        }
        Ok(objects)
    }

    fn place(&self, objects: &mut Vec<Value>) -> anyhow::Result<()> {
        Ok(place(objects, &self.ground.hosts, self.wish.control_plane, self.wish.workers)?)
    }

    fn nginx(&self) -> Nginx {
        let mut nginx = self.settings.config.nginx.clone();
        if let Some(image) = self.ground.nodes.nginx.as_ref().filter(|_| nginx.image == Nginx::default().image) {
            nginx.image.clone_from(image);
        }
        nginx
    }

    fn wanted(&self, version: &str) -> anyhow::Result<GenerateCluster> {
        let count = |count: usize| u32::try_from(count).map(Some);
        // The environment overrides the configuration, and that what the nodes are made of by default.
        let mut own = self.ground.nodes.variables.clone();
        own.extend(self.ground.nodes.images.get(version).map(|image| (ROOT_IMAGE.to_owned(), image.clone())));
        own.extend(self.settings.config.variables().map(|(name, value)| (name.to_owned(), value)));
        let own = own.into_iter().filter(|(name, _)| std::env::var_os(name).is_none());
        let set = own.map(|(name, value)| format!("{name}={value}")).chain([format!("CONTROL_PLANE_VIP={}", self.endpoint)]);
        Ok(GenerateCluster {
            name: Some(self.world.cluster.clone()),
            provider: Some("microvm".into()),
            flavor: Some(self.flow.flavor.clone()).filter(|flavor| !flavor.is_empty()).or_else(|| self.ground.nodes.flavor.clone()),
            from: None,
            set: set.collect(),
            kubernetes_version: Some(version.to_owned()),
            control_plane_machine_count: count(self.wish.control_plane)?,
            worker_machine_count: count(self.wish.workers)?,
            target_namespace: self.world.namespace.clone(),
            config: None,
            list_variables: false,
            output: Output::Table,
        })
    }

    /// Goes through a stage; tells whether it passed.
    async fn go(&mut self, stages: &mut Stages, stage: Stage) -> bool {
        stages.begin(&self.flow.name, stage.name(), stage.title(), stage.expected(self.settings.simulated()));
        let limit = self.settings.limit(&self.flow.name, stage.name());
        let deadline = Instant::now() + limit;
        let failure = loop {
            let missing = match self.turn(stage).await {
                Ok(Next::Over) => break None,
                Ok(Next::Wait(missing)) => missing,
                Ok(Next::Do(step)) => match self.step(step).await {
                    Ok(()) => Vec::new(),
                    Err(Undone::Refused(error)) => break Some(format!("{error:#}")),
                    Err(Undone::Again(error)) => vec![format!("{error:#}")],
                },
                // One failed look says little: the next may succeed.
                Err(error) => vec![format!("{error:#}")],
            };
            stages.waits(&missing);
            if Instant::now() > deadline {
                let missing: String = missing.iter().map(|missing| format!("\n  {missing}")).collect();
                break Some(format!("after {} s this is not met:{missing}", limit.as_secs()));
            }
            tokio::time::sleep(if self.ground.nodes.slow { SLOW_LOOK } else { LOOK }).await;
        };
        let passed = failure.is_none();
        stages.end(failure.map_or(Ended::Passed, Ended::Failed));
        passed
    }

    /// The cluster itself. Each new connection costs an emulated machine a second.
    async fn inside(&self) -> anyhow::Result<&Client> {
        self.inside.get_or_try_init(|| workload::client(&self.world)).await
    }

    /// Looks once, and tells what comes next.
    async fn turn(&self, stage: Stage) -> anyhow::Result<Next> {
        let looks = async { tokio::try_join!(self.world.look(), self.world.has_namespace()) };
        let (looked, workload) = tokio::join!(timeout(ANSWER, looks), workload::look(self.inside(), stage.wants()));
        let (look, namespace) = looked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {ANSWER:?}")))?;
        Ok(stage.next(&self.wish, &Seen { applied: self.applied, namespace, look, workload, lost: self.lost.clone() }))
    }

    async fn step(&mut self, step: Step) -> Result<(), Undone> {
        match step {
            Step::Apply => {
                self.begun = true;
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.world.namespace}});
                let objects: Vec<Value> = std::iter::once(namespace).chain(self.objects.iter().cloned()).collect();
                self.apply(&objects).await?;
                self.applied = true;
                Ok(())
            }
            Step::Upgrade => self.apply(&self.raised("KubeadmControlPlane").map_err(Undone::Refused)?).await,
            Step::UpgradeWorkers => self.apply(&self.raised("MachineDeployment").map_err(Undone::Refused)?).await,
            Step::Lose => {
                self.apply(&[health_check(&self.world.cluster, self.namespace())]).await?;
                self.lost = Some(self.victim().await.map_err(Undone::Again)?);
                Ok(())
            }
            Step::Kill => self.kill().await.map_err(Undone::Again),
            Step::Deploy => {
                let client = self.inside().await.map_err(Undone::Again)?;
                apply(client, &workload::objects(&self.nginx())).await
            }
            Step::Delete => self.world.delete_cluster().await.map_err(Undone::Again),
            Step::DeleteNamespace => self.world.delete_namespace().await.map_err(Undone::Again),
        }
    }

    async fn apply(&self, objects: &[Value]) -> Result<(), Undone> {
        apply(&self.world.plane, objects).await
    }

    /// What raises the machines of owners of this kind.
    fn raised(&self, kind: &str) -> anyhow::Result<Vec<Value>> {
        let mut objects = self.of_version(&self.settings.version)?;
        self.place(&mut objects)?;
        if let Some(tag) = self.ground.nodes.coredns.get(&self.settings.version) {
            // Cluster API raises CoreDNS only to a version that is named.
            for control_plane in objects.iter_mut().filter(|object| object["kind"] == "KubeadmControlPlane") {
                control_plane["spec"]["kubeadmConfigSpec"]["clusterConfiguration"]["dns"]["imageTag"] = tag.as_str().into();
            }
        }
        Ok(raised(&objects, kind, &self.settings.version)?)
    }

    /// The first of the workers that have a microVM.
    async fn victim(&self) -> anyhow::Result<Lost> {
        let look = self.world.look().await?;
        let workers = machines(&look, false).filter_map(|machine| {
            let uid = machine["spec"]["providerID"].as_str()?.rsplit('/').next()?;
            Some((machine["metadata"]["name"].as_str()?, uid))
        });
        let (machine, uid) = workers.min().context("there is no worker that has a microVM")?;
        Ok(Lost { machine: machine.into(), uid: uid.into() })
    }

    /// Kills the microVM of the worker that is to lose it: its VMM, or, where that is out of reach, by its host.
    async fn kill(&self) -> anyhow::Result<()> {
        let lost = self.lost.as_ref().context("no worker was chosen")?;
        match self.ground.run_dirs.as_slice() {
            [] => self.world.remove_microvm(&lost.uid).await,
            run_dirs => kill(run_dirs, &lost.uid),
        }
    }

    /// Has the doctor look at what failed, and keeps what it says.
    pub async fn diagnose(&self, artefacts: &Artefacts) {
        if !self.begun {
            return;
        }
        // A process of its own: it says what it finds on standard output, and looks for as long as it likes.
        let (kubeconfig, namespace) = (self.ground.kubeconfig.clone(), self.world.namespace.clone());
        let look = move || {
            let mut doctor = std::process::Command::new(std::env::current_exe()?);
            doctor.arg("doctor").arg("--kubeconfig").arg(kubeconfig).args(["--namespace", &namespace]);
            doctor.stdin(std::process::Stdio::null()).output()
        };
        let output = tokio::task::spawn_blocking(look).await;
        let told = match output {
            Ok(Ok(output)) => String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout }).into_owned(),
            Ok(Err(error)) => format!("the doctor cannot be asked: {error}\n"),
            Err(error) => format!("the doctor cannot be asked: {error}\n"),
        };
        eprintln!("{} failed. What the doctor says:\n{told}", self.flow.name);
        artefacts.note(&self.flow.name, "doctor.txt", &told);
    }

    /// Keeps what there is to see, under names that begin with this.
    pub async fn dump(&self, artefacts: &Artefacts, prefix: &str) {
        if !self.begun {
            return;
        }
        let flow = &self.flow.name;
        let looked = timeout(CHANGE, self.world.look()).await.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {CHANGE:?}")));
        match looked {
            Ok(look) => {
                artefacts.note(flow, &format!("{prefix}hosts.txt"), &format!("{}\n", table::microvms(&look)));
                artefacts.keep(flow, &format!("{prefix}objects.yaml"), Ok(readable(look.objects)));
            }
            Err(error) => artefacts.keep(flow, &format!("{prefix}objects.yaml"), Err(error)),
        }
        let events = format!("/api/v1/namespaces/{}/events", self.world.namespace);
        artefacts.keep(flow, &format!("{prefix}events.yaml"), listed(&self.world.plane, &[&events]).await);
        let inside = async {
            let client = self.inside().await?;
            listed(client, &["/api/v1/nodes", "/api/v1/pods", "/apis/apps/v1/deployments", "/api/v1/services", "/api/v1/events"]).await
        };
        let inside =
            timeout(ANSWER, inside).await.unwrap_or_else(|_| Err(anyhow::anyhow!("the cluster does not answer within {ANSWER:?}")));
        artefacts.keep(flow, &format!("{prefix}workload.yaml"), inside);
        if let Ok(Ok(brought)) = timeout(CHANGE, async { brought(self.inside().await?).await }).await {
            artefacts.note(flow, &format!("{prefix}workload-objects.txt"), &brought);
        }
    }
}

async fn apply(client: &Client, objects: &[Value]) -> Result<(), Undone> {
    let applied = timeout(CHANGE, api::apply(client, objects)).await;
    applied.map_err(|_| Undone::Again(anyhow::anyhow!("no answer within {CHANGE:?}")))?.map_err(undone)
}

/// What an API server understood and will not have stays so.
fn undone(error: ApiError) -> Undone {
    let refused = match &error {
        ApiError::Request { source, .. } => {
            // A slow etcd is told in the words of a rule that was broken.
            let lasting = |status: &kube::core::Status| status.code != 409 && !status.message.contains("etcdserver: ");
            matches!(source.as_ref(), kube::Error::Api(status) if (400..429).contains(&status.code) && lasting(status))
        }
        _ => false,
    };
    if refused { Undone::Refused(error.into()) } else { Undone::Again(error.into()) }
}

/// Who answers there already would be taken for the cluster.
async fn free(endpoint: &str) -> anyhow::Result<()> {
    let address = if endpoint.contains(':') { format!("[{endpoint}]:6443") } else { format!("{endpoint}:6443") };
    match timeout(Duration::from_secs(1), TcpStream::connect(&address)).await {
        Ok(Ok(_)) => anyhow::bail!("somebody answers at {address} already: choose a free address with -e2e.capmvm.vip-address"),
        _ => Ok(()),
    }
}

/// The cluster's own objects, in the order in which they were made: when, by whom, and their names.
async fn brought(client: &Client) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    for path in BROUGHT {
        // What it does not serve, it does not have.
        for object in all(client, &[path]).await.unwrap_or_default() {
            let metadata = &object["metadata"];
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let namespace = metadata["namespace"].as_str().map(|namespace| format!("{namespace}/")).unwrap_or_default();
            let [made, by] = [&metadata["creationTimestamp"], &metadata["managedFields"][0]["manager"]].map(text);
            lines.push(format!("{made} {by} {} {namespace}{}\n", text(&object["kind"]), text(&metadata["name"])));
        }
    }
    lines.sort();
    Ok(lines.concat())
}

/// All that these paths list, as it is read.
async fn listed(client: &Client, paths: &[&str]) -> anyhow::Result<Vec<Value>> {
    all(client, paths).await.map(readable)
}

async fn all(client: &Client, paths: &[&str]) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    for path in paths {
        let mut list: Value = get(client, path).await.with_context(|| format!("cannot list {path}"))?;
        let kind = list["kind"].as_str().and_then(|kind| kind.strip_suffix("List")).map(str::to_owned);
        for mut item in list["items"].as_array_mut().map(std::mem::take).unwrap_or_default() {
            item["kind"] = kind.as_deref().into();
            all.push(item);
        }
    }
    Ok(all)
}
