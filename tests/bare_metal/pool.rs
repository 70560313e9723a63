//! What is outside: a pool of hosts. A host does one thing at a time, accepted now and done some moments later.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

/// All hosts, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pool(pub BTreeMap<String, Host>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Host {
    pub owner: Option<Owner>,
    pub image: Option<String>,
    pub network: bool,
    pub power: bool,
    /// What it is at.
    pub busy: Option<Change>,
}

/// Whose a host is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub token: String,
    pub namespace: String,
    pub name: String,
}

/// What can be asked of a host. Ownership changes at once, the rest takes its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    Take(Owner),
    Image(Option<String>),
    Network(bool),
    Power(bool),
    Free,
}

/// The host is not as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict;

impl Pool {
    pub fn new(names: &[&str]) -> Self {
        Self(names.iter().map(|name| ((*name).to_owned(), Host::default())).collect())
    }

    /// The host of this owner.
    pub fn owned(&self, owner: &Owner) -> Option<(&String, &Host)> {
        self.0.iter().find(|(_, host)| host.owner.as_ref() == Some(owner))
    }

    /// A host that is nobody's.
    pub fn free(&self) -> Option<(&String, &Host)> {
        self.0.iter().find(|(_, host)| host.owner.is_none())
    }

    /// Asks for a change of a host that is still as it was `seen`: what a resourceVersion does for an object of Kubernetes.
    pub fn request(&mut self, name: &str, seen: &Host, change: &Change) -> Result<(), Conflict> {
        let host = self.0.get_mut(name).filter(|host| *host == seen).ok_or(Conflict)?;
        match change {
            Change::Take(owner) => host.owner = Some(owner.clone()),
            Change::Free => host.owner = None,
            later => host.busy = Some(later.clone()),
        }
        Ok(())
    }

    /// The first host that is at something has it done.
    pub fn finish(&mut self) {
        let Some(host) = self.0.values_mut().find(|host| host.busy.is_some()) else { return };
        match host.busy.take() {
            Some(Change::Image(image)) => host.image = image,
            Some(Change::Network(on)) => host.network = on,
            Some(Change::Power(on)) => host.power = on,
            Some(Change::Take(_) | Change::Free) | None => (),
        }
    }

    pub fn is_busy(&self) -> bool {
        self.0.values().any(|host| host.busy.is_some())
    }

    /// What must hold at all times: who lets a host go has switched it off and wiped it.
    pub fn free_hosts_are_blank(&self) -> bool {
        self.0.values().all(|host| host.owner.is_some() || *host == Host::default())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take(owner) => write!(f, "being taken for {}/{}", owner.namespace, owner.name),
            Self::Image(Some(image)) => write!(f, "writing image {image}"),
            Self::Image(None) => f.write_str("wiping its disk"),
            Self::Network(true) => f.write_str("joining its network"),
            Self::Network(false) => f.write_str("leaving its network"),
            Self::Power(true) => f.write_str("being switched on"),
            Self::Power(false) => f.write_str("being switched off"),
            Self::Free => f.write_str("being let go"),
        }
    }
}

/// The pool as a service, which the test and the provider share.
#[derive(Debug)]
pub struct Outside {
    pool: watch::Sender<Pool>,
    /// What was last written beside the image. Not part of what is looked at: it is secret.
    user_data: watch::Sender<BTreeMap<String, Vec<u8>>>,
}

impl Outside {
    pub fn new(pool: Pool) -> Self {
        Self { pool: watch::Sender::new(pool), user_data: watch::Sender::default() }
    }

    /// The pool as it is now.
    pub fn look(&self) -> Pool {
        self.pool.borrow().clone()
    }

    /// Hears of every change.
    pub fn news(&self) -> watch::Receiver<Pool> {
        self.pool.subscribe()
    }

    pub fn request(&self, name: &str, seen: &Host, change: &Change, user_data: Option<Vec<u8>>) -> Result<(), Conflict> {
        let mut answer = Ok(());
        self.pool.send_if_modified(|pool| {
            answer = pool.request(name, seen, change);
            answer.is_ok()
        });
        if let (Ok(()), Some(data)) = (answer, user_data) {
            self.user_data.send_modify(|all| drop(all.insert(name.to_owned(), data)));
        }
        answer
    }

    pub fn user_data(&self, name: &str) -> Option<Vec<u8>> {
        self.user_data.borrow().get(name).cloned()
    }

    /// Has everything done that was asked for, each thing after some moments; as long as it runs.
    pub async fn work(&self) {
        let mut pool = self.pool.subscribe();
        while pool.wait_for(Pool::is_busy).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.pool.send_modify(Pool::finish);
        }
    }
}
