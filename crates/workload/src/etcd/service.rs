//! The calls of etcd's API at one member, from and to its state.

use tokio::time::timeout;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;

use super::Alarm;
use super::Cluster;
use super::Etcd;
use super::EtcdError;
use super::api;
use super::api::cluster_server::Cluster as ClusterApi;
use super::api::maintenance_server::Maintenance;

/// What every member says of its database, in bytes.
const DATABASE: i64 = 24 * 1024;
/// etcd's default quota, in bytes.
const QUOTA: i64 = 2 * 1024 * 1024 * 1024;

/// One member, as its clients see it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) etcd: Etcd,
    pub(super) member: u64,
}

impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        let code = match error {
            EtcdError::TimedOut | EtcdError::NoLeader | EtcdError::TransferTimedOut | EtcdError::Unhealthy => Code::Unavailable,
            EtcdError::NotFound => Code::NotFound,
            EtcdError::BadUrls => Code::InvalidArgument,
            EtcdError::TooMany => Code::ResourceExhausted,
            EtcdError::NotLeader
            | EtcdError::BadTransferee
            | EtcdError::PeerUrlExists
            | EtcdError::NotLearner
            | EtcdError::LearnerNotReady
            | EtcdError::TooManyLearners
            | EtcdError::NotForLearners
            | EtcdError::NotEnoughStarted => Code::FailedPrecondition,
        };
        Status::new(code, error.to_string())
    }
}

impl Service {
    /// Waits while the member hangs, and refuses what a learner does not do and what the client wants no answer to without a leader.
    async fn admit<T>(&self, request: &Request<T>) -> Result<(), EtcdError> {
        self.answers().await;
        let cluster = self.etcd.cluster.borrow();
        if cluster.members().get(&self.member).is_some_and(|member| member.learner) {
            return Err(EtcdError::NotForLearners);
        }
        let wants_leader = request.metadata().get("hasleader").is_some_and(|value| value.as_bytes() == b"true");
        if wants_leader && cluster.leader_seen_by(self.member).is_none() {
            return Err(EtcdError::NoLeader);
        }
        Ok(())
    }

    async fn answers(&self) {
        // The sender is held here, so this ends only with an answer.
        let _ = self.etcd.cluster.subscribe().wait_for(|cluster| cluster.answers(self.member)).await;
    }

    /// Waits for a leader: what goes through consensus needs one.
    async fn consent(&self) -> Result<(), EtcdError> {
        let mut cluster = self.etcd.cluster.subscribe();
        let led = cluster.wait_for(|cluster| cluster.leader_seen_by(self.member).is_some());
        match timeout(self.etcd.patience, led).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(EtcdError::TimedOut),
        }
    }

    /// Changes the state, if there is a majority for it.
    async fn change<T, R>(&self, request: &Request<T>, change: impl FnOnce(&mut Cluster) -> Result<R, EtcdError>) -> Result<R, EtcdError> {
        self.admit(request).await?;
        self.consent().await?;
        self.etcd.change(change)
    }

    fn header(&self) -> Option<api::ResponseHeader> {
        let cluster = self.etcd.cluster.borrow();
        let revision = i64::try_from(cluster.index()).unwrap_or(i64::MAX);
        Some(api::ResponseHeader { cluster_id: cluster.id(), member_id: self.member, revision, raft_term: cluster.term() })
    }

    /// The calls about members tell no revision.
    fn member_header(&self) -> Option<api::ResponseHeader> {
        self.header().map(|header| api::ResponseHeader { revision: 0, ..header })
    }

    fn members(&self) -> Vec<api::Member> {
        let cluster = self.etcd.cluster.borrow();
        let told = |(id, member): (&u64, &super::Member)| api::Member {
            id: *id,
            name: member.name.clone(),
            peer_urls: member.peer_urls.clone(),
            client_urls: member.client_urls.clone(),
            is_learner: member.learner,
        };
        cluster.members().iter().map(told).collect()
    }
}

#[tonic::async_trait]
impl ClusterApi for Service {
    async fn member_add(&self, request: Request<api::MemberAddRequest>) -> Result<Response<api::MemberAddResponse>, Status> {
        let api::MemberAddRequest { peer_urls, is_learner } = request.get_ref().clone();
        let id = self.change(&request, |cluster| cluster.add(peer_urls, is_learner)).await?;
        let members = self.members();
        let member = members.iter().find(|member| member.id == id).cloned();
        Ok(Response::new(api::MemberAddResponse { header: self.member_header(), member, members }))
    }

    async fn member_remove(&self, request: Request<api::MemberRemoveRequest>) -> Result<Response<api::MemberRemoveResponse>, Status> {
        self.change(&request, |cluster| cluster.remove(request.get_ref().id, self.member)).await?;
        Ok(Response::new(api::MemberRemoveResponse { header: self.member_header(), members: self.members() }))
    }

    async fn member_list(&self, request: Request<api::MemberListRequest>) -> Result<Response<api::MemberListResponse>, Status> {
        self.admit(&request).await?;
        if request.get_ref().linearizable {
            self.consent().await?;
        }
        Ok(Response::new(api::MemberListResponse { header: self.member_header(), members: self.members() }))
    }

    async fn member_promote(&self, request: Request<api::MemberPromoteRequest>) -> Result<Response<api::MemberPromoteResponse>, Status> {
        self.change(&request, |cluster| cluster.promote(request.get_ref().id)).await?;
        Ok(Response::new(api::MemberPromoteResponse { header: self.member_header(), members: self.members() }))
    }
}

#[tonic::async_trait]
impl Maintenance for Service {
    async fn alarm(&self, request: Request<api::AlarmRequest>) -> Result<Response<api::AlarmResponse>, Status> {
        let asked = *request.get_ref();
        let kind = kind(asked.alarm());
        let told = |(member_id, alarm)| api::AlarmMember { member_id, alarm: code(alarm).into() };
        let alarms = match (asked.action(), kind) {
            (api::alarm_request::AlarmAction::Get, _) => {
                self.change(&request, |cluster| {
                    let wanted = |(id, alarm): &(u64, Alarm)| {
                        (asked.member_id == 0 || asked.member_id == *id) && kind.is_none_or(|kind| kind == *alarm)
                    };
                    Ok(cluster.alarms().filter(wanted).map(told).collect())
                })
                .await?
            }
            (api::alarm_request::AlarmAction::Activate, Some(alarm)) => {
                self.change(&request, |cluster| cluster.raise(asked.member_id, alarm)).await?;
                vec![told((asked.member_id, alarm))]
            }
            (api::alarm_request::AlarmAction::Deactivate, Some(alarm)) => {
                let was = self.change(&request, |cluster| Ok(cluster.disarm(asked.member_id, alarm))).await?;
                if was { vec![told((asked.member_id, alarm))] } else { Vec::new() }
            }
            (api::alarm_request::AlarmAction::Activate | api::alarm_request::AlarmAction::Deactivate, None) => Vec::new(),
        };
        Ok(Response::new(api::AlarmResponse { header: self.header(), alarms }))
    }

    async fn status(&self, _: Request<api::StatusRequest>) -> Result<Response<api::StatusResponse>, Status> {
        self.answers().await;
        let header = self.header();
        let cluster = self.etcd.cluster.borrow();
        let leader = cluster.leader_seen_by(self.member);
        let none = leader.is_none().then(|| EtcdError::NoLeader.to_string());
        let alarms = cluster.alarms().map(|(id, alarm)| format!("memberID:{id} alarm:{} ", code(alarm).as_str_name()));
        Ok(Response::new(api::StatusResponse {
            header,
            version: cluster.version.clone(),
            db_size: DATABASE,
            leader: leader.unwrap_or_default(),
            raft_index: cluster.index(),
            raft_term: cluster.term(),
            raft_applied_index: cluster.index(),
            errors: none.into_iter().chain(alarms).collect(),
            db_size_in_use: DATABASE,
            is_learner: cluster.members().get(&self.member).is_some_and(|member| member.learner),
            storage_version: minor(&cluster.version),
            db_size_quota: QUOTA,
            downgrade_info: Some(api::DowngradeInfo::default()),
        }))
    }

    async fn defragment(&self, request: Request<api::DefragmentRequest>) -> Result<Response<api::DefragmentResponse>, Status> {
        self.admit(&request).await?;
        Ok(Response::new(api::DefragmentResponse { header: self.header() }))
    }

    async fn move_leader(&self, request: Request<api::MoveLeaderRequest>) -> Result<Response<api::MoveLeaderResponse>, Status> {
        self.admit(&request).await?;
        self.etcd.change(|cluster| cluster.move_leader(request.get_ref().target_id, self.member))?;
        // etcd gives no header here.
        Ok(Response::new(api::MoveLeaderResponse { header: None }))
    }
}

fn kind(code: api::AlarmType) -> Option<Alarm> {
    match code {
        api::AlarmType::None => None,
        api::AlarmType::Nospace => Some(Alarm::NoSpace),
        api::AlarmType::Corrupt => Some(Alarm::Corrupt),
    }
}

fn code(alarm: Alarm) -> api::AlarmType {
    match alarm {
        Alarm::NoSpace => api::AlarmType::Nospace,
        Alarm::Corrupt => api::AlarmType::Corrupt,
    }
}

/// `3.6.0` of `3.6.14`.
fn minor(version: &str) -> String {
    version.rsplit_once('.').map_or_else(String::new, |(minor, _)| format!("{minor}.0"))
}
