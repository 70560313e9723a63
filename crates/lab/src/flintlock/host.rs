//! The state machine of one host. Nothing here waits, looks at a clock or draws from randomness of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::api::DeleteMicroVmRequest;
use capstead_flintlock::api::GetMicroVmRequest;
use capstead_flintlock::api::ListMicroVMsRequest;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::MicroVmSpec;
use capstead_flintlock::types::MicroVmStatus;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use rand::Rng;
use tonic::Code;
use ulid::Ulid;

use super::FaultKind;
use super::Faults;
use super::Provider;
use super::documents;
use super::spec;
use dice::Dice;

mod dice;
mod status;
#[cfg(test)]
mod tests;

/// Nothing a host does takes no time at all: the answer to a create always tells `PENDING`.
const MOMENT: Duration = Duration::from_millis(1);
/// A create that is answered by an error lands this long after it at most.
const LATEST: Duration = Duration::from_secs(8);
/// How often flintlock tries before it gives a microVM up.
const TRIES: i32 = 11;

/// How a host behaves when nothing goes wrong, and how long things take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For microVMs whose spec names none.
    pub default_provider: Provider,
    /// From create to `CREATED` (or `FAILED`).
    pub boot_delay: Duration,
    /// From delete to gone.
    pub delete_delay: Duration,
    /// From a create to its answer. The microVM is there from the beginning.
    pub create_delay: Duration,
    /// About how late an answer is that [`FaultKind::Slow`] hits: a half to one and a half of this.
    pub slow_delay: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            default_provider: Provider::Firecracker,
            boot_delay: seconds(1),
            delete_delay: seconds(1),
            create_delay: Duration::ZERO,
            slow_delay: seconds(3),
        }
    }
}

/// A call of the service.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made, handled and gone")]
pub enum Call {
    /// `CreateMicroVM`
    Create(CreateMicroVmRequest),
    /// `DeleteMicroVM`
    Delete(DeleteMicroVmRequest),
    /// `GetMicroVM`
    Get(GetMicroVmRequest),
    /// `ListMicroVMs`
    List(ListMicroVMsRequest),
    /// `ListMicroVMsStream`
    ListStream(ListMicroVMsRequest),
}

/// What a call that succeeded brings.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made, sent and gone")]
pub enum Answer {
    /// The microVM that a create made or a get found.
    MicroVm(MicroVm),
    /// The delete was taken on.
    Deleting,
    /// What a listing found, in no order.
    Listed(Vec<MicroVm>),
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code:?})")]
pub struct Refusal {
    /// The code of gRPC.
    pub code: Code,
    /// What flintlock says.
    pub message: String,
}

impl Refusal {
    fn new(code: Code, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }

    /// flintlock's errors mostly have no code of their own.
    pub(super) fn unknown(message: &str) -> Self {
        Self::new(Code::Unknown, message)
    }

    pub(super) fn unavailable(message: &str) -> Self {
        Self::new(Code::Unavailable, message)
    }

    fn fault(code: Code, kind: FaultKind) -> Self {
        Self::new(code, &format!("simulated fault: {kind}"))
    }
}

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What is answered.
    pub answer: Result<Answer, Refusal>,
    /// How long after the call.
    pub after: Duration,
    /// The faults that befell the call, or the microVM it made.
    pub faults: Vec<FaultKind>,
}

/// What became of a microVM, for who lives in it and who remembers it.
#[derive(Clone, Debug, PartialEq)]
pub enum Turn {
    /// There is something new to remember of the one with this uid.
    Changed(String),
    /// It is `CREATED` and runs.
    Booted(Box<MicroVm>),
    /// It runs no more; this is its uid.
    Ended(String),
}

/// One host and its microVMs.
///
/// Time is the duration since the Unix epoch, as the caller tells it; it must not go back.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    microvms: BTreeMap<String, Record>,
    /// What happens by itself, by time and then in the order it was settled.
    agenda: BTreeMap<(Duration, u64), Event>,
    settled: u64,
    devices: i32,
    turns: Vec<Turn>,
}

/// A microVM as it is remembered. Faults that were to befall it are not.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// As clients see it.
    pub microvm: MicroVm,
    /// Volumes with their mount points, which are added to vendor-data when it boots.
    pub mounts: Vec<(String, String)>,
}

#[derive(Debug)]
struct Record {
    microvm: MicroVm,
    mounts: Vec<(String, String)>,
    fails: bool,
    vanishes: Option<Duration>,
    /// Unix seconds; a further delete is a change only when this changes.
    deleted_at: Option<u64>,
}

#[derive(Debug)]
enum Event {
    /// A create that was answered by an error after all.
    Land(Box<Record>),
    Boot(String),
    Remove(String),
    Vanish(String),
}

impl Host {
    /// A host without microVMs.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, microvms: BTreeMap::new(), agenda: BTreeMap::new(), settled: 0, devices: 0, turns: Vec::new() }
    }

    /// Carries out a call, made `now` by someone who waits for its answer no longer than `deadline`.
    ///
    /// Each call draws as much from `random` as any other, so a rate changes only what it is about.
    pub fn handle(&mut self, call: Call, faults: &Faults, now: Duration, deadline: Option<Duration>, random: &mut impl Rng) -> Reply {
        self.advance(now);
        let dice = Dice::roll(random);
        let mut befell = Vec::new();
        let mut after = Duration::ZERO;
        let changes = matches!(call, Call::Create(_) | Call::Delete(_));
        let mut hits = |kind: FaultKind| {
            let hit = dice.hits(kind, faults);
            if hit {
                befell.push(kind);
            }
            hit
        };
        if hits(FaultKind::Unavailable) {
            return Reply { answer: Err(Refusal::fault(Code::Unavailable, FaultKind::Unavailable)), after, faults: befell };
        }
        if hits(FaultKind::Slow) {
            after += self.settings.slow_delay.mul_f64(0.5 + dice.part);
        }
        let answer = match call {
            Call::Create(request) => {
                after += self.settings.create_delay;
                self.record(request.microvm, now, &dice).and_then(|mut record| {
                    record.fails = hits(FaultKind::Failed);
                    record.vanishes = (!record.fails && hits(FaultKind::Vanished)).then(|| dice.vanishes_after());
                    if hits(FaultKind::LateCreate) {
                        self.settle(now + dice.lands_after(deadline), Event::Land(Box::new(record)));
                        return Err(Refusal::fault(dice.late_code(), FaultKind::LateCreate));
                    }
                    let microvm = record.microvm.clone();
                    self.add(record, now);
                    Ok(Answer::MicroVm(microvm))
                })
            }
            Call::Delete(request) => self.delete(&request.uid, now),
            Call::Get(request) => self.get(&request.uid),
            Call::List(request) => {
                let name = request.name.unwrap_or_default();
                Ok(self.list(&dice, |spec| {
                    (request.namespace.is_empty() || spec.namespace == request.namespace) && (name.is_empty() || spec.id == name)
                }))
            }
            Call::ListStream(request) if request.namespace.is_empty() => Err(invalid()),
            Call::ListStream(request) => Ok(self.list(&dice, |spec| spec.namespace == request.namespace)),
        };
        let lost = changes && answer.is_ok() && hits(FaultKind::LostReply);
        let answer = if lost { Err(Refusal::fault(Code::Unavailable, FaultKind::LostReply)) } else { answer };
        Reply { answer, after, faults: befell }
    }

    /// Lets happen what happens by itself until `now`.
    pub fn advance(&mut self, now: Duration) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= now) {
            let ((at, _), event) = entry.remove_entry();
            match event {
                Event::Land(record) => self.add(*record, at),
                Event::Boot(uid) => self.boot(&uid, at),
                Event::Remove(uid) | Event::Vanish(uid) => {
                    self.vanish(&uid);
                }
            }
        }
    }

    /// When something happens by itself next.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// What became of microVMs since this was asked last, in order.
    pub fn turns(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }

    /// What there is to remember of a microVM.
    #[must_use]
    pub fn remember(&self, uid: &str) -> Option<Remembered> {
        let record = self.microvms.get(uid)?;
        Some(Remembered { microvm: record.microvm.clone(), mounts: record.mounts.clone() })
    }

    /// Puts what was remembered there. One that was `PENDING` boots; one that was being deleted goes. What was `CREATED` is so without a word.
    pub fn restore(&mut self, remembered: Remembered, now: Duration) {
        let Remembered { microvm, mounts } = remembered;
        let state = microvm.status.as_ref().map(MicroVmStatus::state).unwrap_or_default();
        let uid = uid(&microvm).to_owned();
        let record = Record { microvm, mounts, fails: false, vanishes: None, deleted_at: None };
        match state {
            MicroVmState::Pending => return self.add(record, now),
            MicroVmState::Deleting => self.settle(now + self.settings.delete_delay.max(MOMENT), Event::Remove(uid.clone())),
            MicroVmState::Created | MicroVmState::Failed => {}
        }
        self.microvms.insert(uid, record);
    }

    /// The microVMs as [`Host::advance`] left them, by uid.
    pub fn microvms(&self) -> impl Iterator<Item = &MicroVm> {
        self.microvms.values().map(|record| &record.microvm)
    }

    /// Puts a `CREATED` microVM there, as if someone else had made it before.
    ///
    /// # Errors
    ///
    /// When a create of it would be refused.
    pub fn put(&mut self, spec: MicroVmSpec, now: Duration, random: &mut impl Rng) -> Result<MicroVm, Refusal> {
        self.advance(now);
        let record = self.record(Some(spec), now, &Dice::roll(random))?;
        let uid = uid(&record.microvm).to_owned();
        self.microvms.insert(uid.clone(), record);
        self.boot(&uid, now);
        self.get(&uid).map(|answer| match answer {
            Answer::MicroVm(microvm) => microvm,
            Answer::Deleting | Answer::Listed(_) => MicroVm::default(),
        })
    }

    /// Takes a microVM away without a word. `false` if there is none.
    pub fn vanish(&mut self, uid: &str) -> bool {
        let gone = self.microvms.remove(uid).is_some();
        if gone {
            self.turns.push(Turn::Ended(uid.to_owned()));
        }
        gone
    }

    fn record(&self, spec: Option<MicroVmSpec>, now: Duration, dice: &Dice) -> Result<Record, Refusal> {
        let sent = spec.ok_or_else(|| Refusal::new(Code::InvalidArgument, "invalid create microvm request: MicroVMSpec required"))?;
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let uid = Ulid::from_parts(milliseconds, dice.uid).to_string();
        let accepted = spec::accept(sent, self.settings.default_provider, &uid)?;
        let microvm = MicroVm { version: 1, spec: Some(accepted.spec), status: Some(MicroVmStatus::default()) };
        Ok(Record { microvm, mounts: accepted.mounts, fails: false, vanishes: None, deleted_at: None })
    }

    fn add(&mut self, record: Record, now: Duration) {
        let uid = uid(&record.microvm).to_owned();
        self.settle(now + self.settings.boot_delay.max(MOMENT), Event::Boot(uid.clone()));
        self.turns.push(Turn::Changed(uid.clone()));
        self.microvms.insert(uid, record);
    }

    fn settle(&mut self, at: Duration, event: Event) {
        self.settled += 1;
        self.agenda.insert((at, self.settled), event);
    }

    fn boot(&mut self, uid: &str, now: Duration) {
        let Some(record) = self.microvms.get_mut(uid) else { return };
        let MicroVm { version, spec: Some(spec), status: Some(status) } = &mut record.microvm else { return };
        if status.state() != MicroVmState::Pending {
            return;
        }
        let vendor_data = spec.metadata.get("vendor-data").map(String::as_str);
        let mounted = if record.mounts.is_empty() { Some(None) } else { documents::with_mounts(vendor_data, &record.mounts).map(Some) };
        match mounted {
            Some(vendor_data) if !record.fails => {
                spec.metadata.extend(vendor_data.map(|document| ("vendor-data".to_owned(), document)));
                *status = status::created(spec, &mut self.devices);
                *version += 1;
            }
            // Each try and the giving up is a change.
            _ => {
                status.set_state(MicroVmState::Failed);
                status.retry = TRIES;
                *version += TRIES + 1;
            }
        }
        self.turns.push(Turn::Changed(uid.to_owned()));
        if status.state() != MicroVmState::Created {
            return;
        }
        self.turns.push(Turn::Booted(Box::new(record.microvm.clone())));
        if let Some(after) = record.vanishes {
            self.settle(now + after, Event::Vanish(uid.to_owned()));
        }
    }

    fn delete(&mut self, uid: &str, now: Duration) -> Result<Answer, Refusal> {
        if uid.is_empty() {
            return Err(invalid());
        }
        let none = || Refusal::unknown(&format!("deleting microvm: checking to see if spec exists: microvm spec //{uid} not found"));
        let record = self.microvms.get_mut(uid).ok_or_else(none)?;
        let first = record.deleted_at.is_none();
        if record.deleted_at.replace(now.as_secs()) != Some(now.as_secs()) {
            record.microvm.version += 1;
        }
        if let Some(status) = &mut record.microvm.status {
            status.set_state(MicroVmState::Deleting);
            status.retry = 0;
        }
        if first {
            self.turns.push(Turn::Changed(uid.to_owned()));
            self.settle(now + self.settings.delete_delay.max(MOMENT), Event::Remove(uid.to_owned()));
        }
        Ok(Answer::Deleting)
    }

    fn get(&self, uid: &str) -> Result<Answer, Refusal> {
        if uid.is_empty() {
            return Err(invalid());
        }
        let none = || {
            let text = format!("getting microvm: error attempting to locate microvm with uid: {uid}: microvm spec //{uid} not found");
            Refusal::unknown(&text)
        };
        self.microvms.get(uid).map(|record| Answer::MicroVm(record.microvm.clone())).ok_or_else(none)
    }

    /// From anywhere on, because no order is promised.
    fn list(&self, dice: &Dice, wanted: impl Fn(&MicroVmSpec) -> bool) -> Answer {
        let listed = self.microvms().filter(|microvm| microvm.spec.as_ref().is_some_and(&wanted)).cloned();
        let mut listed: Vec<MicroVm> = listed.collect();
        let begin = dice.below(listed.len());
        listed.rotate_left(begin);
        Answer::Listed(listed)
    }
}

pub(super) fn uid(microvm: &MicroVm) -> &str {
    microvm.spec.as_ref().map_or("", |spec| spec.uid())
}

fn invalid() -> Refusal {
    Refusal::new(Code::InvalidArgument, "invalid request")
}
