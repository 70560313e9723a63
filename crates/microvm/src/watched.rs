//! Looking after what clusters and load balancers do not own: whether control planes and hosts answer.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use capstead_capi::types::ApiEndpoint;
use capstead_engine::Name;
use capstead_provider::Wake;
use tokio::task::AbortHandle;

use crate::access::Reach;
use crate::cluster::Observed;
use crate::endpoint;
use crate::hosts::{At, Hosts};

/// Between looks at a control plane that does not answer, and at one that does.
const LOOKS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30));

/// What is looked at for one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct What {
    pub(crate) endpoint: Option<ApiEndpoint>,
    pub(crate) hosts: Vec<String>,
    pub(crate) reach: Reach,
}

/// One task for each object.
#[derive(Debug)]
pub(crate) struct Watched {
    /// None where nobody has hosts.
    hosts: Option<Arc<Hosts>>,
    wake: Wake,
    random: RandomState,
    objects: Mutex<HashMap<Name, Watch>>,
}

#[derive(Debug)]
struct Watch {
    what: What,
    seen: Arc<Mutex<Observed>>,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    pub(crate) fn new(hosts: Option<Arc<Hosts>>, wake: Wake) -> Self {
        Self { hosts, wake, random: RandomState::new(), objects: Mutex::default() }
    }

    /// What was last seen for an object. The first time, and whenever something else is to be looked at, a look begins, after which it is woken.
    pub(crate) fn look(&self, name: &Name, what: What) -> Observed {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = objects.get(name).filter(|watch| watch.what == what) {
            return read(&watch.seen);
        }
        // Of an endpoint that stays what was seen of it stays, too.
        let before = objects.get(name).filter(|watch| watch.what.endpoint == what.endpoint).map(|watch| read(&watch.seen));
        let known = Observed { answers: before.and_then(|before| before.answers), ..Observed::default() };
        let seen = Arc::new(Mutex::new(known.clone()));
        let share = self.random.hash_one(name) % 256;
        let watch = watch(self.hosts.clone(), self.wake.clone(), name.clone(), what.clone(), Arc::clone(&seen), share);
        let task = tokio::spawn(watch).abort_handle();
        objects.insert(name.clone(), Watch { what, seen, task });
        known
    }

    /// Nothing is looked at for it any more.
    pub(crate) fn forget(&self, name: &Name) {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

fn read(seen: &Mutex<Observed>) -> Observed {
    seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Looks for ever. `share` of 256 spreads the looks for many objects.
async fn watch(hosts: Option<Arc<Hosts>>, wake: Wake, name: Name, what: What, seen: Arc<Mutex<Observed>>, share: u64) {
    loop {
        let answers = match &what.endpoint {
            Some(endpoint) => Some(endpoint::answers(endpoint).await),
            None => None,
        };
        let down = |address: &String| Some((address.clone(), hosts.as_ref()?.down(At { address, reach: &what.reach })?));
        let now = Observed { answers, down: what.hosts.iter().filter_map(down).collect(), ..Observed::default() };
        let wait = if now.answers == Some(Ok(())) && now.down.is_empty() { LOOKS.1 } else { LOOKS.0 };
        let before = std::mem::replace(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner), now.clone());
        if before != now {
            wake.wake(name.clone());
        }
        tokio::time::sleep(wait + wait.mul_f64(share as f64 / 1024.0)).await;
    }
}
