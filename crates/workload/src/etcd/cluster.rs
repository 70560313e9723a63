//! The state of one etcd cluster and what its members answer, as a value: nothing here waits or listens.
//!
//! Rules and texts are etcd's, of 3.6. Raft itself is not here: a member that runs with a majority of voters around it has a leader at once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::number::number;

#[cfg(test)]
mod tests;

/// The most members a cluster takes. etcd itself has no limit, but is not run with more than seven.
pub const MOST_MEMBERS: usize = 64;
/// The most learners, as etcd's default is.
const MOST_LEARNERS: usize = 1;

/// How a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It answers, and its peers hear it.
    #[default]
    Running,
    /// It answers, but neither hears its peers nor is heard by them.
    Isolated,
    /// It takes connections and never answers; its peers do not hear it.
    Hung,
    /// Its process is gone: connections are refused.
    Stopped,
}

/// What can be wrong with a member's store, as etcd tells it in its alarms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// No space is left for the database.
    NoSpace,
    /// Its data differs from that of its peers.
    Corrupt,
}

/// A member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node's name, when kubeadm made it; empty until it has started.
    pub name: String,
    /// Where its peers reach it. At least one.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; none until it has started.
    pub client_urls: Vec<String>,
    /// It copies, but has no vote.
    pub learner: bool,
    /// How it is; meaningless until it has started.
    pub health: Health,
}

impl Member {
    fn started(&self) -> bool {
        !self.name.is_empty()
    }

    /// Its peers hear it.
    fn heard(&self) -> bool {
        self.started() && self.health == Health::Running
    }
}

/// Why a call fails. The texts are etcd's; clients compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EtcdError {
    /// A call that needs a majority did not get it in time.
    #[error("etcdserver: request timed out")]
    TimedOut,
    /// A call that wants a leader, at a member that knows of none.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// Only the leader can do this.
    #[error("etcdserver: not leader")]
    NotLeader,
    /// The leadership cannot go to that member.
    #[error("etcdserver: bad leader transferee")]
    BadTransferee,
    /// That member does not take the leadership.
    #[error("etcdserver: request timed out, leader transfer took too long")]
    TransferTimedOut,
    /// No member has that number.
    #[error("etcdserver: member not found")]
    NotFound,
    /// Another member has one of the peer URLs.
    #[error("etcdserver: Peer URLs already exists")]
    PeerUrlExists,
    /// No peer URL, or one that is none.
    #[error("etcdserver: given member URLs are invalid")]
    BadUrls,
    /// The member votes already.
    #[error("etcdserver: can only promote a learner member")]
    NotLearner,
    /// The learner does not run.
    #[error("etcdserver: can only promote a learner member which is in sync with leader")]
    LearnerNotReady,
    /// One learner at a time.
    #[error("etcdserver: too many learner members in cluster")]
    TooManyLearners,
    /// Learners answer only for themselves.
    #[error("etcdserver: rpc not supported for learner")]
    NotForLearners,
    /// The change would leave fewer started members than a majority.
    #[error("etcdserver: re-configuration failed due to not enough started members")]
    NotEnoughStarted,
    /// The change would leave fewer healthy members than a majority.
    #[error("etcdserver: unhealthy cluster")]
    Unhealthy,
    /// More members than [`MOST_MEMBERS`].
    #[error("etcdserver: too many requests")]
    TooMany,
}

/// The members of one etcd cluster, who leads, and their alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    id: u64,
    members: BTreeMap<u64, Member>,
    leader: Option<u64>,
    term: u64,
    /// Grows with every change; etcd's raft index and revision, as far as anyone looks.
    index: u64,
    alarms: BTreeSet<(u64, Alarm)>,
    /// What members say they are, like `3.6.14`.
    pub version: String,
}

impl Cluster {
    /// A cluster of one started member, which leads. `token` makes its numbers; the same token makes the same ones.
    #[must_use]
    pub fn new(token: &str, name: &str, peer_urls: Vec<String>, client_urls: Vec<String>) -> Self {
        let mut cluster = Self {
            id: number(&[token, "cluster"]),
            members: BTreeMap::new(),
            leader: None,
            term: 1,
            index: 1,
            alarms: BTreeSet::new(),
            version: "3.6.14".to_owned(),
        };
        let member = Member { name: name.to_owned(), peer_urls, client_urls, learner: false, health: Health::Running };
        cluster.insert(member);
        cluster.elect();
        cluster
    }

    /// The cluster's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How many leaders there have been.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// How many changes there have been.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// All members by number.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<u64, Member> {
        &self.members
    }

    /// The number of the first member of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<u64> {
        self.members.iter().find(|(_, member)| member.name == name).map(|(id, _)| *id)
    }

    /// Who leads, if a majority runs.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        self.leader
    }

    /// Who leads, as this member knows: none when it does not hear its peers.
    #[must_use]
    pub fn leader_seen_by(&self, id: u64) -> Option<u64> {
        let member = self.members.get(&id)?;
        // A voter that is a majority by itself needs no peers.
        let alone = !member.learner && member.health == Health::Isolated && self.voters().count() == 1;
        if member.heard() { self.leader } else { alone.then_some(id) }
    }

    /// Whether connections to this member are taken.
    #[must_use]
    pub fn listens(&self, id: u64) -> bool {
        self.members.get(&id).is_some_and(|member| member.started() && member.health != Health::Stopped)
    }

    /// Whether this member answers its connections.
    #[must_use]
    pub fn answers(&self, id: u64) -> bool {
        self.listens(id) && self.members.get(&id).is_some_and(|member| member.health != Health::Hung)
    }

    /// All alarms, by member.
    pub fn alarms(&self) -> impl Iterator<Item = (u64, Alarm)> {
        self.alarms.iter().copied()
    }

    /// Makes a member run, hang or stop; a leader is lost or found by it.
    ///
    /// # Errors
    /// When there is no such member.
    pub fn set_health(&mut self, id: u64, health: Health) -> Result<(), EtcdError> {
        let member = self.members.get_mut(&id).ok_or(EtcdError::NotFound)?;
        if std::mem::replace(&mut member.health, health) != health {
            self.changed();
        }
        Ok(())
    }

    /// Starts a member that was added: it takes part from now on, under its name.
    ///
    /// # Errors
    /// When there is no such member.
    pub fn start(&mut self, id: u64, name: &str, client_urls: Vec<String>) -> Result<(), EtcdError> {
        let member = self.members.get_mut(&id).ok_or(EtcdError::NotFound)?;
        name.clone_into(&mut member.name);
        member.client_urls = client_urls;
        self.changed();
        Ok(())
    }

    /// Adds a member, which has not started. Returns its number.
    ///
    /// # Errors
    /// As etcd's `MemberAdd` with a strict check of reconfigurations.
    pub fn add(&mut self, peer_urls: Vec<String>, learner: bool) -> Result<u64, EtcdError> {
        if peer_urls.is_empty() || peer_urls.iter().any(|url| !is_url(url)) {
            return Err(EtcdError::BadUrls);
        }
        if self.members.len() >= MOST_MEMBERS {
            return Err(EtcdError::TooMany);
        }
        let (voters, started, heard) = self.count(None);
        // One alone may become two: so it is restored from a backup.
        if !learner && started < majority(voters + 1) && (voters, started) != (1, 1) {
            return Err(EtcdError::NotEnoughStarted);
        }
        if heard < majority(voters) {
            return Err(EtcdError::Unhealthy);
        }
        if self.members.values().any(|member| member.peer_urls.iter().any(|url| peer_urls.contains(url))) {
            return Err(EtcdError::PeerUrlExists);
        }
        if learner && self.members.values().filter(|member| member.learner).count() >= MOST_LEARNERS {
            return Err(EtcdError::TooManyLearners);
        }
        let id = self.insert(Member { name: String::new(), peer_urls, client_urls: Vec::new(), learner, health: Health::Running });
        self.changed();
        Ok(id)
    }

    /// Lets a learner vote.
    ///
    /// # Errors
    /// As etcd's `MemberPromote` with a strict check of reconfigurations.
    pub fn promote(&mut self, id: u64) -> Result<(), EtcdError> {
        let (voters, started, _) = self.count(None);
        let member = self.members.get_mut(&id).ok_or(EtcdError::NotFound)?;
        if !member.learner {
            return Err(EtcdError::NotLearner);
        }
        if !member.heard() {
            return Err(EtcdError::LearnerNotReady);
        }
        if started + 1 < majority(voters + 1) {
            return Err(EtcdError::NotEnoughStarted);
        }
        member.learner = false;
        self.changed();
        Ok(())
    }

    /// Removes a member, as etcd does when asked at member `at`; the removed one stops.
    ///
    /// # Errors
    /// As etcd's `MemberRemove` with a strict check of reconfigurations.
    pub fn remove(&mut self, id: u64, at: u64) -> Result<(), EtcdError> {
        let member = self.members.get(&id);
        if !member.is_some_and(|member| member.learner) {
            let (others, started, _) = self.count(Some(id));
            if started < majority(others) {
                return Err(EtcdError::NotEnoughStarted);
            }
            // One that is down is no part of the majority, and can go.
            let (voters, _, heard) = self.count(None);
            let active = at == id || member.is_some_and(Member::heard);
            if active && heard.saturating_sub(1) < 1 + voters.saturating_sub(1) / 2 {
                return Err(EtcdError::Unhealthy);
            }
        }
        self.members.remove(&id).ok_or(EtcdError::NotFound)?;
        self.alarms.retain(|(member, _)| *member != id);
        self.changed();
        Ok(())
    }

    /// Hands the leadership from member `at` to another.
    ///
    /// # Errors
    /// As etcd's `MoveLeader`.
    pub fn move_leader(&mut self, to: u64, at: u64) -> Result<(), EtcdError> {
        if self.leader_seen_by(at) != Some(at) {
            return Err(EtcdError::NotLeader);
        }
        let target = self.members.get(&to).filter(|member| !member.learner).ok_or(EtcdError::BadTransferee)?;
        if to == at {
            return Ok(());
        }
        if !target.heard() {
            return Err(EtcdError::TransferTimedOut);
        }
        self.leader = Some(to);
        self.term += 1;
        self.changed();
        Ok(())
    }

    /// Raises an alarm.
    ///
    /// # Errors
    /// When there is no such member.
    pub fn raise(&mut self, id: u64, alarm: Alarm) -> Result<(), EtcdError> {
        if !self.members.contains_key(&id) {
            return Err(EtcdError::NotFound);
        }
        self.alarms.insert((id, alarm));
        self.changed();
        Ok(())
    }

    /// Takes back an alarm; whether it was raised.
    pub fn disarm(&mut self, id: u64, alarm: Alarm) -> bool {
        let was = self.alarms.remove(&(id, alarm));
        if was {
            self.changed();
        }
        was
    }

    fn insert(&mut self, member: Member) -> u64 {
        // The index makes a member that is added again another one, as the time does in etcd.
        let id = number(&[&self.id.to_string(), &member.peer_urls.concat(), &self.index.to_string()]);
        self.members.insert(id, member);
        id
    }

    fn changed(&mut self) {
        self.index += 1;
        self.elect();
    }

    /// A leader stays while it runs and a majority with it; else the first voter that runs takes over.
    fn elect(&mut self) {
        let (voters, _, heard) = self.count(None);
        let runs = |id: &u64| self.members.get(id).is_some_and(|member| member.heard() && !member.learner);
        let leader =
            if heard < majority(voters) { None } else { self.leader.filter(runs).or_else(|| self.members.keys().copied().find(runs)) };
        if leader.is_some() && leader != self.leader {
            self.term += 1;
        }
        self.leader = leader;
    }

    fn voters(&self) -> impl Iterator<Item = (&u64, &Member)> {
        self.members.iter().filter(|(_, member)| !member.learner)
    }

    /// Voters, those that started, and those that are heard; without one of them.
    fn count(&self, without: Option<u64>) -> (usize, usize, usize) {
        self.voters().filter(|(id, _)| Some(**id) != without).fold((0, 0, 0), |(all, started, heard), (_, member)| {
            (all + 1, started + usize::from(member.started()), heard + usize::from(member.heard()))
        })
    }
}

fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.and_then(|rest| rest.rsplit_once(':')).is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
