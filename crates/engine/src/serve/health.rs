//! Health checks, in the words of Kubernetes' own components.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use axum::Router;
use axum::extract::Path;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use tokio::sync::watch;

/// The check that passes because it is answered at all.
const PING: &str = "ping";

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Checks by name, of one kind.
#[derive(Clone, Default)]
struct Checks(Arc<RwLock<BTreeMap<String, Check>>>);

/// What tells whether this process lives and whether it is ready. Clones share the checks.
#[derive(Clone, Default)]
pub struct Health {
    live: Checks,
    ready: Checks,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |checks: &Checks| checks.all().into_keys().collect::<Vec<_>>();
        f.debug_struct("Health").field("live", &names(&self.live)).field("ready", &names(&self.ready)).finish()
    }
}

impl Checks {
    fn add(&self, name: &str, check: Check) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), check);
    }

    fn all(&self) -> BTreeMap<String, Check> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Health {
    /// Alive and ready, with no check but `ping`, which always passes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check under `/healthz`. It must not block; an error's text is shown to anyone who can reach the server.
    pub fn live(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.live.add(name, Arc::new(check));
    }

    /// Adds a check under `/readyz`, as [`Health::live`].
    pub fn ready(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.ready.add(name, Arc::new(check));
    }

    /// Ready only while this value is true.
    pub fn ready_while(&self, name: &str, value: watch::Receiver<bool>) {
        self.ready(name, move || if *value.borrow() { Ok(()) } else { Err("not yet".to_owned()) });
    }

    pub(super) fn router(&self) -> Router {
        let routes = |path: &'static str, checks: &Checks| {
            let one = async |State(checks): State<Checks>, Path(name): Path<String>| match checks.all().get(&name) {
                None if name == PING => (StatusCode::OK, "ok".to_owned()),
                None => (StatusCode::NOT_FOUND, "no such check\n".to_owned()),
                Some(check) => match check() {
                    Ok(()) => (StatusCode::OK, "ok".to_owned()),
                    Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{reason}\n")),
                },
            };
            let all = async move |State(checks): State<Checks>, RawQuery(query): RawQuery| report(&path[1..], &checks.all(), query);
            Router::new().route(path, get(all)).route(&format!("{path}/{{check}}"), get(one)).with_state(checks.clone())
        };
        routes("/healthz", &self.live).merge(routes("/readyz", &self.ready))
    }
}

/// `ok`, or each check on a line of its own when one fails or `?verbose` asks for it.
fn report(what: &str, checks: &BTreeMap<String, Check>, query: Option<String>) -> (StatusCode, String) {
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part.split('=').next() == Some("verbose")));
    let mut text = format!("[+]{PING} ok\n");
    let mut passed = true;
    for (name, check) in checks {
        // Writing to a string cannot fail.
        let _ = match check() {
            Ok(()) => writeln!(text, "[+]{name} ok"),
            Err(reason) => {
                passed = false;
                writeln!(text, "[-]{name} failed: {reason}")
            }
        };
    }
    match (passed, verbose) {
        (true, false) => (StatusCode::OK, "ok".to_owned()),
        (true, true) => (StatusCode::OK, format!("{text}{what} check passed\n")),
        (false, _) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{text}{what} check failed\n")),
    }
}
