//! The supervisor: a task for each component, one that keeps `status.json`, and signals. It holds nothing that could not be found again.

use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use capstead_artifact::Store;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::actor::Actor;
use crate::actor::Context;
use crate::actor::Installer;
use crate::actor::chain;
use crate::api;
use crate::board::Board;
use crate::board::Place;
use crate::board::Told;
use crate::component::Authority;
use crate::component::Component;
use crate::component::Usage;
use crate::deployments;
use crate::kubeconfig;
use crate::layout::Layout;
use crate::layout::LayoutError;
use crate::layout::failed;
use crate::layout::lock_for_a_while;
use crate::layout::private_dir;
use crate::layout::write_private;
use crate::pki;
use crate::pki::Pair;
use crate::pki::Pki;
use crate::pki::PkiError;
use crate::pki::Subject;
use crate::plane::Plane;
use crate::plane::PlaneError;
use crate::process;
use crate::status::Status;

/// The administrator's group: it may do everything, whatever RBAC says.
const ADMINISTRATORS: &str = "system:masters";

/// The supervisor cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// One is there already.
    #[error("another supervisor looks after the plane {0:?}")]
    Running(String),
    /// The plane cannot be read.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] LayoutError),
    /// Certificates cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A client cannot be made.
    #[error(transparent)]
    Api(#[from] api::ApiError),
    /// The administrator's kubeconfig cannot be written as YAML.
    #[error("cannot render the kubeconfig")]
    Kubeconfig(#[source] yaml_serde::Error),
    /// The cache cannot be opened.
    #[error("cannot open the cache of binaries")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A component's text is wrong.
    #[error("the component {name} cannot be run")]
    Component {
        /// The component.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system refuses.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Looks after a plane until SIGTERM or SIGINT, then takes it down and returns. With `run` false it takes the plane down at once.
/// `installer` makes the command for what needs a process of its own.
///
/// # Errors
/// Another supervisor is there, or files cannot be read or written. What happens to components is no error here but in their status.
pub async fn supervise(layout: &Layout, cache: &Path, run: bool, installer: Arc<Installer>) -> Result<(), SupervisorError> {
    let plane = Plane::load(layout)?;
    let mut lock = lock_for_a_while(&layout.supervisor_lock()).await?.ok_or_else(|| SupervisorError::Running(plane.name.clone()))?;
    // For `down`, which signals whoever holds the lock.
    let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
    let context = context(layout, plane, cache, installer)?;
    let system = |what| move |source| SupervisorError::System { what, source };
    let mut term = signal(SignalKind::terminate()).map_err(system("listen for SIGTERM"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(system("listen for SIGINT"))?;

    let (deployed, mut wished) = watch::channel(None);
    let mut crew = Crew::new(context.clone(), run);
    for component in context.plane.components.clone() {
        crew.begin(component)?;
    }
    let keeper = tokio::spawn(keep_status(context.layout.clone(), crew.plane.subscribe(), crew.board.subscribe()));
    let follower = (run && context.plane.options.deployments)
        .then(|| tokio::spawn(deployments::follow(Arc::new(context.clone()), crew.board.subscribe(), deployed)));
    loop {
        tokio::select! {
            _ = term.recv() => stop(&crew.board),
            _ = int.recv() => stop(&crew.board),
            ended = crew.actors.join_next() => match ended {
                // Each task ends when its component is down.
                Some(Ok(name)) => crew.ended(&name),
                Some(Err(error)) => tracing::error!("a component's task failed: {error}"),
                None => break,
            },
            Ok(()) = wished.changed() => crew.wished = wished.borrow_and_update().clone(),
        }
        crew.deploy();
    }
    if let Some(follower) = follower {
        follower.abort();
    }
    keeper.abort();
    write_status(&context.layout, &crew.plane.borrow(), &crew.board.borrow());
    Ok(())
}

/// The tasks of all components, among which those for Deployments come and go.
struct Crew {
    context: Context,
    plane: watch::Sender<Plane>,
    board: watch::Sender<Board>,
    /// Each says its component's name when it ends.
    actors: JoinSet<String>,
    /// What Deployments ask for, once that is known.
    wished: Option<Vec<Component>>,
}

impl Crew {
    fn new(context: Context, run: bool) -> Self {
        let plane = watch::Sender::new(context.plane.clone());
        let board = watch::Sender::new(Board { run, ..Board::default() });
        // Everybody is on the board before anybody looks at it.
        board.send_modify(|board| {
            let told = |component: &Component| (component.name.clone(), Told { after: component.after.clone(), ..Told::default() });
            board.components = context.plane.components.iter().map(told).collect();
        });
        Self { context, plane, board, actors: JoinSet::new(), wished: None }
    }

    fn begin(&mut self, component: Component) -> Result<(), SupervisorError> {
        let (name, place) = (component.name.clone(), Place { name: component.name.clone(), board: self.board.clone() });
        let context = Arc::new(Context { plane: self.plane.borrow().clone(), ..self.context.clone() });
        let actor = Actor::new(context, component, place).map_err(|source| SupervisorError::Component { name: name.clone(), source })?;
        self.actors.spawn(async {
            actor.run().await;
            name
        });
        Ok(())
    }

    /// A component that left is forgotten; when the plane goes down it is not, since the next one begins with it.
    fn ended(&mut self, name: &str) {
        if !self.board.borrow().run {
            return;
        }
        self.board.send_modify(|board| {
            board.leaving.remove(name);
            board.components.remove(name);
        });
        let left = self.plane.borrow().deployed().filter(|component| component.name != name).cloned().collect();
        self.store(left);
    }

    /// One step towards what Deployments ask for: who is not wished, or wished otherwise, leaves; who is not there begins.
    fn deploy(&mut self) {
        let (Some(wished), true) = (self.wished.clone(), self.board.borrow().run) else { return };
        let there: Vec<Component> = self.plane.borrow().deployed().cloned().collect();
        let leaving = there.iter().filter(|component| !wished.contains(component)).map(|component| component.name.clone()).collect();
        self.board.send_if_modified(|board| {
            let differs = board.leaving != leaving;
            board.leaving = leaving;
            differs
        });
        let coming: Vec<Component> =
            wished.into_iter().filter(|component| !there.iter().any(|other| other.name == component.name)).collect();
        if coming.is_empty() || !self.store(there.into_iter().chain(coming.iter().cloned()).collect()) {
            return;
        }
        self.board.send_modify(|board| {
            for component in &coming {
                board.components.insert(component.name.clone(), Told { after: component.after.clone(), ..Told::default() });
            }
        });
        for component in coming {
            if let Err(error) = self.begin(component) {
                tracing::error!("{}", chain(&error));
            }
        }
    }

    /// Stores the plane with these components for Deployments; a failure is only told, and tried again when something changes.
    fn store(&self, deployed: Vec<Component>) -> bool {
        let stored = self.plane.borrow().deploy(&self.context.layout, deployed);
        match stored {
            Ok(plane) => self.plane.send_replace(plane),
            Err(error) => {
                tracing::error!("cannot run Deployments: {}", chain(&error));
                return false;
            }
        };
        true
    }
}

fn stop(board: &watch::Sender<Board>) {
    tracing::info!("taking the plane down");
    board.send_modify(|board| board.run = false);
}

fn context(layout: &Layout, plane: Plane, cache: &Path, installer: Arc<Installer>) -> Result<Context, SupervisorError> {
    private_dir(layout.dir())?;
    let pki = Pki::open(layout.pki())?;
    let admin = administrator_client(layout, &plane, &pki)?;
    let store = Store::open(cache).map_err(|source| SupervisorError::Store(source.into()))?;
    let fetch = plane.options.fetch()?;
    let took_over = !process::find(&plane.id).is_empty();
    Ok(Context { plane, layout: layout.clone(), pki, store, fetch, admin, took_over, installer })
}

/// A client of the plane's API server, as its administrator.
///
/// # Errors
/// Certificates cannot be read or written.
pub fn administrator_client(layout: &Layout, plane: &Plane, pki: &Pki) -> Result<kube::Client, SupervisorError> {
    let user = administrator(layout, plane, pki)?;
    // A plane without an API server has nobody to ask; its components have no objects.
    let server = plane.server().unwrap_or_else(|| "https://127.0.0.1:1".into());
    Ok(api::client(&server, &pki.read(Authority::Cluster)?, Some(&user))?)
}

/// Writes the administrator's kubeconfig if it must be, and returns its certificate.
fn administrator(layout: &Layout, plane: &Plane, pki: &Pki) -> Result<Pair, SupervisorError> {
    let (certificate, key) = (layout.pki().join("admin.crt"), layout.pki().join("admin.key"));
    let read = |path: &PathBuf| std::fs::read_to_string(path).map_err(failed("read", path));
    let pair = if pki::fresh(&certificate) {
        Pair { certificate: read(&certificate)?, key: read(&key)? }
    } else {
        let subject =
            Subject { common_name: "capstead:administrator", organization: Some(ADMINISTRATORS), usages: &[Usage::Client], names: &[] };
        let pair = pki.issue(Authority::Cluster, &subject)?;
        write_private(&key, pair.key.as_bytes())?;
        write_private(&certificate, pair.certificate.as_bytes())?;
        pair
    };
    if let Some(server) = plane.server() {
        let name = format!("capstead-{}", plane.name);
        let text = kubeconfig::render(&name, &server, &pki.read(Authority::Cluster)?, &pair).map_err(SupervisorError::Kubeconfig)?;
        write_private(&layout.kubeconfig(), text.as_bytes())?;
    }
    Ok(pair)
}

async fn keep_status(layout: Layout, plane: watch::Receiver<Plane>, mut view: watch::Receiver<Board>) {
    loop {
        let board = view.borrow_and_update().clone();
        write_status(&layout, &plane.borrow(), &board);
        if view.changed().await.is_err() {
            return;
        }
    }
}

fn write_status(layout: &Layout, plane: &Plane, board: &Board) {
    let mut status = Status::blank(plane);
    status.supervisor.pid = Some(std::process::id());
    status.supervisor.running = true;
    for component in &mut status.components {
        let Some(told) = board.components.get(&component.name).cloned() else { continue };
        component.source = told.source;
        component.pid = told.pid;
        component.state = told.state;
        component.ready = told.ready;
        component.restarts = told.restarts;
        component.message = told.message;
        component.log = told.log;
    }
    status.ready = status.components.iter().all(|component| component.ready);
    let written = serde_json::to_vec_pretty(&status).map_err(io::Error::other);
    let written = written.and_then(|text| write_private(&layout.status_file(), &text).map_err(io::Error::other));
    if let Err(error) = written {
        tracing::error!("cannot write the status: {error}");
    }
}
