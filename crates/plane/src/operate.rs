//! What commands do with a plane from outside its supervisor: bring it up, wait, take it down.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::Choices;
use crate::Layout;
use crate::Options;
use crate::Plane;
use crate::PlaneError;
use crate::Status;
use crate::install::Job;
use crate::layout::LayoutError;
use crate::layout::append_private;
use crate::layout::failed;
use crate::layout::lock_for_a_while;
use crate::layout::private_dir;
use crate::layout::try_lock;
use crate::lifecycle::LONGEST_BACKOFF;
use crate::process;
use crate::process::Held;
use crate::status::ComponentStatus;
use crate::status::State;
use crate::supervisor::SupervisorError;
use crate::supervisor::supervise;

/// How often a waiting command looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a supervisor may take to begin.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(20);
/// How long a process without a supervisor may take to end when asked.
const GRACE: Duration = Duration::from_secs(15);
/// Within this time a component that keeps ending is started again.
const ANOTHER_TRY: Duration = LONGEST_BACKOFF.saturating_add(Duration::from_secs(5));
/// How long taking a plane down may take.
const DOWN_PATIENCE: Duration = Duration::from_secs(120);

/// Something could not be done with a plane.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// The plane is up with other options.
    #[error("the plane {0:?} is up with other options; take it down first (`capstead down --name {0}`), its objects are kept")]
    OtherOptions(String),
    /// The supervisor does not begin.
    #[error("the supervisor of the plane {name:?} ended at once; its last words are in {log}")]
    NoSupervisor {
        /// The plane.
        name: String,
        /// Its log.
        log: PathBuf,
    },
    /// The supervisor went away.
    #[error("the supervisor of the plane {0:?} is gone; `capstead up --name {0}` starts another, which takes over what still runs")]
    Lost(String),
    /// Components keep failing.
    #[error("the plane cannot become ready: {}", failing(.0))]
    Failing(Vec<ComponentStatus>),
    /// Not ready in time.
    #[error("the plane is not ready after {} s: {}", .after.as_secs(), failing(.components))]
    Slow {
        /// How long was waited.
        after: Duration,
        /// What is not ready.
        components: Vec<ComponentStatus>,
    },
    /// It cannot be taken down.
    #[error("the plane {name:?} is not down after {} s; `capstead status` shows what still runs", DOWN_PATIENCE.as_secs())]
    Stuck {
        /// The plane.
        name: String,
    },
    /// The supervisor cannot be started or signalled.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The plane cannot be made or read.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Files(#[from] LayoutError),
    /// Taking it down without its supervisor failed.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

/// What is wrong, a component a clause, with the last log line that says why.
fn failing(components: &[ComponentStatus]) -> String {
    let clause = |component: &ComponentStatus| {
        let log: String = component.log.iter().map(|line| format!("\n    {line}")).collect();
        format!("\n  {}: {}{log}", component.name, component.message)
    };
    components.iter().map(clause).collect()
}

/// Makes the plane, or finds it. What is not chosen stays as the plane has it; a plane that is up cannot be changed.
///
/// # Errors
/// It is up with other options, or cannot be made.
pub async fn prepare(layout: &Layout, choices: Choices) -> Result<Plane, OperateError> {
    let kept = match Plane::load(layout) {
        Ok(plane) => plane.options,
        Err(PlaneError::NotFound(_)) => Options::default(),
        Err(error) => return Err(error.into()),
    };
    let options = choices.over(kept);
    // Options that do not fit together leave no folder behind.
    options.components()?;
    options.fetch()?;
    private_dir(layout.dir())?;
    let deadline = tokio::time::Instant::now() + SUPERVISOR_PATIENCE;
    loop {
        // Whoever holds the lock is the supervisor, or another `up` at this very place.
        let lock = try_lock(&layout.supervisor_lock())?;
        let found = match Plane::load(layout) {
            // That other one is about to make the plane.
            Err(PlaneError::NotFound(_)) if lock.is_none() && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            Err(PlaneError::NotFound(_)) if lock.is_some() => None,
            plane => Some(plane?),
        };
        // Where its supervisor died and its processes did not, their ports must stay.
        let up = |plane: &Plane| lock.is_none() || !process::find(&plane.id).is_empty();
        return match found.filter(up) {
            Some(plane) if plane.options == options => Ok(plane),
            Some(plane) => Err(OperateError::OtherOptions(plane.name)),
            None => Ok(Plane::make(layout, options)?),
        };
    }
}

/// Starts a supervisor in the background, unless one is there, and returns when it has begun. `command` is the program with its arguments.
///
/// # Errors
/// It cannot be started, or ends at once.
pub async fn start_supervisor(layout: &Layout, mut command: Command) -> Result<(), OperateError> {
    if lock_for_a_while(&layout.supervisor_lock()).await?.is_none() {
        return Ok(());
    }
    let system = |what| move |source| OperateError::System { what, source };
    let log = append_private(&layout.supervisor_log())?;
    let err = log.try_clone().map_err(failed("open", &layout.supervisor_log()))?;
    command.stdin(Stdio::null()).stdout(log).stderr(err).current_dir("/").process_group(0);
    let mut child = command.spawn().map_err(system("start the supervisor"))?;
    let deadline = tokio::time::Instant::now() + SUPERVISOR_PATIENCE;
    // It has begun when the status is by it.
    while Status::written(layout).and_then(|status| status.supervisor.pid) != Some(child.id()) {
        let ended = child.try_wait().map_err(system("watch the supervisor"))?;
        if ended.is_some() || tokio::time::Instant::now() > deadline {
            // Another `up` may have been faster.
            let other = try_lock(&layout.supervisor_lock())?.is_none();
            return if other {
                Ok(())
            } else {
                Err(OperateError::NoSupervisor { name: layout.name().into(), log: layout.supervisor_log() })
            };
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until every component is ready. `show` is given each status that differs from the last.
///
/// # Errors
/// A component keeps failing, the supervisor goes away, or `patience` ends.
pub async fn wait_ready(layout: &Layout, plane: &Plane, patience: Duration, mut show: impl FnMut(&Status)) -> Result<Status, OperateError> {
    let start = tokio::time::Instant::now();
    let failed_before = Status::read(layout, plane)?.components.into_iter().filter(|component| component.state == State::Failing);
    let before: BTreeMap<String, u32> = failed_before.map(|component| (component.name, component.restarts)).collect();
    let mut last = Status::default();
    loop {
        let status = Status::read(layout, plane)?;
        if status != last {
            show(&status);
        }
        if status.ready {
            return Ok(status);
        }
        let of = |state: State| status.components.iter().filter(|component| component.state == state).cloned().collect::<Vec<_>>();
        let unready = || status.components.iter().filter(|component| !component.ready).cloned().collect::<Vec<_>>();
        // What failed before we came gets another try first: its cause may be mended.
        let stale = |component: &ComponentStatus| before.get(&component.name) == Some(&component.restarts) && start.elapsed() < ANOTHER_TRY;
        let failing: Vec<ComponentStatus> = of(State::Failing).into_iter().filter(|component| !stale(component)).collect();
        if !failing.is_empty() {
            return Err(OperateError::Failing(failing));
        }
        if !status.supervisor.running && start.elapsed() > SUPERVISOR_PATIENCE {
            return Err(OperateError::Lost(plane.name.clone()));
        }
        if start.elapsed() > patience {
            return Err(OperateError::Slow { after: patience, components: unready() });
        }
        last = status;
        tokio::time::sleep(LOOK).await;
    }
}

/// Takes a plane down, with the help of its supervisor or, where that is gone, without. A plane that is down stays so.
///
/// # Errors
/// It cannot be read, or does not go down.
pub async fn down(layout: &Layout, cache: &Path) -> Result<(), OperateError> {
    if !layout.plane_file().exists() {
        return Err(PlaneError::NotFound(layout.name().into()).into());
    }
    let deadline = tokio::time::Instant::now() + DOWN_PATIENCE;
    while tokio::time::Instant::now() < deadline {
        match try_lock(&layout.supervisor_lock())? {
            // Nobody looks after it: do what a supervisor would.
            Some(lock) => {
                drop(lock);
                if process::find(&Plane::load(layout)?.id).is_empty() {
                    return Ok(());
                }
                // Nothing is installed on the way down.
                let never = Arc::new(|_: Job<'_>| Command::new("false"));
                match supervise(layout, cache, false, never).await {
                    Err(SupervisorError::Running(_)) => (),
                    done => done?,
                }
            }
            // It knows the plane, even if the file has become unreadable since.
            None => signal_supervisor(layout)?,
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(OperateError::Stuck { name: layout.name().into() })
}

/// Removes every file of a plane. What still runs, as of a plane whose file is damaged, is ended first.
///
/// # Errors
/// A process cannot be ended, or a file not removed.
pub async fn purge(layout: &Layout) -> Result<(), OperateError> {
    let mut strays: Vec<Held> = process::find_in(layout.dir()).iter().filter_map(Held::adopt).collect();
    let ended = futures::future::try_join_all(strays.iter_mut().map(|stray| stray.stop(GRACE))).await;
    ended.map_err(|source| OperateError::System { what: "end what still runs", source })?;
    Ok(layout.purge()?)
}

fn signal_supervisor(layout: &Layout) -> Result<(), OperateError> {
    let text = std::fs::read_to_string(layout.supervisor_lock()).unwrap_or_default();
    // It writes its process id as soon as it holds the lock; a moment earlier there is none, or that of one before it, and we look again.
    let pid = text.trim().parse::<u32>().ok().filter(|pid| process::has_open(*pid, &layout.supervisor_lock()));
    let Some(pid) = pid else { return Ok(()) };
    process::terminate(pid).map_err(|source| OperateError::System { what: "signal the supervisor", source })
}
