mod explored;
mod upstream;

use super::*;
use capstead_flintlock::types::Kernel;
use capstead_flintlock::types::NetworkInterface;
use capstead_flintlock::types::Volume;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A host, its randomness and a clock that only tests move.
struct World {
    host: Host,
    random: StdRng,
    faults: Faults,
    now: Duration,
}

impl World {
    fn new(settings: Settings, faults: &[&str]) -> Self {
        let faults = faults.iter().map(|fault| fault.parse::<crate::flintlock::Fault>().unwrap()).collect();
        Self { host: Host::new(settings), random: StdRng::seed_from_u64(7), faults, now: Duration::from_secs(1_800_000_000) }
    }

    fn reply(&mut self, call: Call) -> Reply {
        self.host.handle(call, &self.faults, self.now, Some(Duration::from_secs(10)), &mut self.random)
    }

    fn create(&mut self, spec: MicroVmSpec) -> Result<MicroVm, Refusal> {
        self.reply(creating(spec)).answer.map(one)
    }

    fn get(&mut self, uid: &str) -> Result<MicroVm, Refusal> {
        self.reply(Call::Get(GetMicroVmRequest { uid: uid.to_owned() })).answer.map(one)
    }

    fn delete(&mut self, uid: &str) -> Result<Answer, Refusal> {
        self.reply(Call::Delete(DeleteMicroVmRequest { uid: uid.to_owned() })).answer
    }

    fn list(&mut self, namespace: &str, name: Option<&str>) -> Vec<String> {
        let request = ListMicroVMsRequest { namespace: namespace.to_owned(), name: name.map(str::to_owned) };
        let mut uids = uids(self.reply(Call::List(request)).answer.unwrap());
        uids.sort();
        uids
    }

    fn after(&mut self, seconds: f64) -> &mut Self {
        self.now += Duration::from_secs_f64(seconds);
        self
    }
}

fn creating(spec: MicroVmSpec) -> Call {
    Call::Create(CreateMicroVmRequest { microvm: Some(spec), ..CreateMicroVmRequest::default() })
}

fn one(answer: Answer) -> MicroVm {
    match answer {
        Answer::MicroVm(microvm) => microvm,
        other => panic!("{other:?}"),
    }
}

fn uids(answer: Answer) -> Vec<String> {
    match answer {
        Answer::Listed(microvms) => microvms.iter().map(|microvm| uid(microvm).to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}

fn state(microvm: &MicroVm) -> (i32, MicroVmState) {
    (microvm.version, microvm.status.as_ref().unwrap().state())
}

pub(super) fn valid(namespace: &str, name: &str) -> MicroVmSpec {
    MicroVmSpec {
        id: name.to_owned(),
        namespace: namespace.to_owned(),
        kernel: Some(Kernel { image: "ghcr.io/example/kernel:1".into(), filename: Some("vmlinux".into()), ..Kernel::default() }),
        root_volume: Some(Volume { id: "root".into(), ..Volume::default() }),
        interfaces: vec![NetworkInterface { device_id: "eth1".into(), r#type: 1, ..NetworkInterface::default() }],
        metadata: [("own".to_owned(), "dG9rZW4=".to_owned())].into(),
        ..MicroVmSpec::default()
    }
}

#[test]
fn a_microvm_is_pending_created_deleting_gone() {
    let mut world = World::new(Settings::default(), &[]);
    let made = world.create(valid("", "m")).unwrap();
    let uid = uid(&made).to_owned();
    assert_eq!((state(&made), uid.len()), ((1, MicroVmState::Pending), 26));
    assert_eq!(state(&world.after(0.999).get(&uid).unwrap()), (1, MicroVmState::Pending));
    let created = world.after(0.001).get(&uid).unwrap();
    assert_eq!(state(&created), (2, MicroVmState::Created));
    assert_eq!(created.spec, made.spec);
    let status = created.status.unwrap();
    assert_eq!(status.network_interfaces.keys().collect::<Vec<_>>(), ["eth0", "eth1"]);
    assert!(status.volumes.contains_key("root") && status.kernel_mount.is_some() && status.initrd_mount.is_none());

    assert_eq!(world.delete(&uid), Ok(Answer::Deleting));
    assert_eq!(state(&world.after(0.5).get(&uid).unwrap()), (3, MicroVmState::Deleting));
    // Again: it is not put off by that.
    assert_eq!(world.delete(&uid), Ok(Answer::Deleting));
    assert_eq!(world.list("", None), [uid.as_str()]);
    let error = world.after(0.5).get(&uid).unwrap_err();
    assert!(error.code == Code::Unknown && error.message.ends_with(&format!("microvm spec //{uid} not found")), "{error}");
    assert!(world.delete(&uid).unwrap_err().message.contains("not found"));
    assert!(world.list("", None).is_empty());
}

#[test]
fn without_delays_each_state_is_left_a_moment_later() {
    let mut world = World::new(Settings { boot_delay: Duration::ZERO, delete_delay: Duration::ZERO, ..Settings::default() }, &[]);
    let made = world.create(valid("", "m")).unwrap();
    assert_eq!(state(&made), (1, MicroVmState::Pending));
    assert_eq!(state(&world.after(0.001).get(uid(&made)).unwrap()), (2, MicroVmState::Created));
    world.delete(uid(&made)).unwrap();
    assert_eq!(state(&world.get(uid(&made)).unwrap()), (3, MicroVmState::Deleting));
    assert!(world.after(0.001).get(uid(&made)).is_err());
}

#[test]
fn one_deleted_before_it_was_created_never_is() {
    let mut world = World::new(Settings { delete_delay: Duration::from_secs(5), ..Settings::default() }, &[]);
    let made = world.create(valid("", "m")).unwrap();
    world.delete(uid(&made)).unwrap();
    assert_eq!(state(&world.after(2.0).get(uid(&made)).unwrap()), (2, MicroVmState::Deleting));
    assert!(world.after(3.0).get(uid(&made)).is_err());
}

#[test]
fn the_same_name_twice_is_two_microvms_and_lists_filter() {
    let mut world = World::new(Settings::default(), &[]);
    let mut make = |namespace, name| uid(&world.create(valid(namespace, name)).unwrap()).to_owned();
    let (a, b, c, d) = (make("team", "m"), make("team", "m"), make("team", "n"), make("", "m"));
    let sorted = |mut uids: Vec<&String>| {
        uids.sort();
        uids.into_iter().cloned().collect::<Vec<String>>()
    };
    assert_eq!(world.list("", None), sorted(vec![&a, &b, &c, &d]));
    assert_eq!(world.list("team", Some("")), sorted(vec![&a, &b, &c]));
    assert_eq!(world.list("team", Some("m")), sorted(vec![&a, &b]));
    assert_eq!(world.list("default", None), sorted(vec![&d]));
    assert!(world.list("other", None).is_empty());
    // The stream ignores the name and wants a namespace.
    let mut stream = |namespace: &str| {
        let request = ListMicroVMsRequest { namespace: namespace.to_owned(), name: Some("m".to_owned()) };
        world.reply(Call::ListStream(request)).answer.map(uids)
    };
    assert_eq!(stream("team").unwrap().len(), 3);
    assert_eq!(stream("").unwrap_err(), Refusal::new(Code::InvalidArgument, "invalid request"));
}

#[test]
fn mount_points_become_vendor_data_when_it_is_created() {
    let mut world = World::new(Settings::default(), &[]);
    let volume = |id: &str, point: &str| Volume { id: id.into(), mount_point: Some(point.into()), ..Volume::default() };
    let with_volumes = MicroVmSpec { additional_volumes: vec![volume("a", ""), volume("b", "/b")], ..valid("", "m") };
    let made = world.create(with_volumes.clone()).unwrap();
    assert!(!made.spec.as_ref().unwrap().metadata.contains_key("vendor-data"));
    let metadata = world.after(1.0).get(uid(&made)).unwrap().spec.unwrap().metadata;
    let vendor_data = String::from_utf8(documents::decoded(&metadata["vendor-data"])).unwrap();
    assert!(vendor_data.starts_with("## template: jinja\n#cloud-config\n") && vendor_data.contains("- - vdc\n  - /b\n"), "{vendor_data}");
    assert_eq!(metadata["own"], "dG9rZW4=");

    let unreadable = [("vendor-data".to_owned(), "!".to_owned())].into();
    let made = world.create(MicroVmSpec { metadata: unreadable, ..with_volumes }).unwrap();
    let failed = world.after(1.0).get(uid(&made)).unwrap();
    assert_eq!((state(&failed).1, failed.status.unwrap().retry), (MicroVmState::Failed, 11));
}

#[test]
fn overrides_without_a_bridge_are_answered_as_by_a_daemon_that_crashed() {
    let mut world = World::new(Settings::default(), &[]);
    let mut spec = valid("", "m");
    spec.interfaces[0].overrides = Some(Default::default());
    assert_eq!(world.create(spec.clone()).unwrap_err().code, Code::Unavailable);
    spec.interfaces[0].overrides.as_mut().unwrap().bridge_name = Some(String::new());
    world.create(spec).unwrap();
}

#[test]
fn unavailable_does_nothing() {
    let mut world = World::new(Settings::default(), &["unavailable=1", "late-create=1"]);
    let error = world.create(valid("", "m")).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (Code::Unavailable, "simulated fault: unavailable"));
    assert!(world.reply(Call::List(ListMicroVMsRequest::default())).answer.is_err());
    world.faults = Faults::default();
    assert!(world.after(60.0).list("", None).is_empty());
}

#[test]
fn slow_does_the_work_at_once() {
    let mut world = World::new(Settings { create_delay: Duration::from_secs(1), ..Settings::default() }, &["slow=1"]);
    let base = Duration::from_secs(3);
    let list = world.reply(Call::List(ListMicroVMsRequest::default()));
    assert!(list.answer.is_ok() && list.after >= base / 2 && list.after < base * 3 / 2, "{list:?}");
    let create = world.reply(creating(valid("", "m")));
    assert!(create.after >= Duration::from_secs(1) + base / 2 && create.faults == [FaultKind::Slow], "{create:?}");
    assert_eq!(world.list("", None), [uid(&one(create.answer.unwrap()))]);
}

#[test]
fn a_lost_reply_is_about_work_that_was_done() {
    let mut world = World::new(Settings::default(), &["lost-reply=1"]);
    assert_eq!(world.create(valid("", "m")).unwrap_err().code, Code::Unavailable);
    let listed = world.list("", None);
    assert_eq!(listed.len(), 1);
    world.get(&listed[0]).unwrap();
    assert_eq!(world.delete(&listed[0]).unwrap_err().code, Code::Unavailable);
    assert!(world.after(1.0).list("", None).is_empty());
    // Nothing is done, so nothing is lost.
    assert_eq!(world.delete(&listed[0]).unwrap_err().code, Code::Unknown);
    assert_eq!(world.create(MicroVmSpec::default()).unwrap_err().code, Code::Unknown);
}

#[test]
fn a_late_create_lands_before_the_caller_may_take_it_for_lost() {
    for (deadline, latest) in [(None, 8.0), (Some(1.0), 0.8), (Some(10.0), 8.0), (Some(60.0), 8.0)] {
        let mut world = World::new(Settings::default(), &["late-create=1"]);
        let mut codes = std::collections::HashSet::new();
        for _ in 0..50 {
            let deadline = deadline.map(Duration::from_secs_f64);
            let reply = world.host.handle(creating(valid("", "m")), &world.faults, world.now, deadline, &mut world.random);
            codes.insert(format!("{:?}", reply.answer.unwrap_err().code));
        }
        assert_eq!(codes, ["Unavailable", "DeadlineExceeded"].map(str::to_owned).into());
        assert!(world.list("", None).is_empty());
        let half = world.after(latest / 2.0).list("", None).len();
        assert!(half > 0 && half < 50, "{half}");
        assert_eq!(world.after(latest / 2.0).list("", None).len(), 50);
        // From then on it is as if it had been created then.
        assert!(world.after(1.0).host.microvms().count() == 50);
        let uid = world.list("", None)[0].clone();
        assert_eq!(state(&world.get(&uid).unwrap()).1, MicroVmState::Created);
    }
}

#[test]
fn some_fail_and_some_vanish() {
    let mut world = World::new(Settings::default(), &["failed=30%", "vanished=50%"]);
    let replies: Vec<Reply> = (0..200).map(|n| world.reply(creating(valid("", &format!("m{n}"))))).collect();
    let hit = |kind| replies.iter().filter(|reply| reply.faults.contains(&kind)).count();
    let (failed, vanished) = (hit(FaultKind::Failed), hit(FaultKind::Vanished));
    assert!((40..80).contains(&failed) && (50..90).contains(&vanished), "{failed} {vanished}");
    assert!(!replies.iter().any(|reply| reply.faults.len() == 2));
    assert_eq!(world.after(0.999).list("", None).len(), 200);
    world.after(31.0).list("", None);
    let states: Vec<MicroVmState> = world.host.microvms().map(|microvm| state(microvm).1).collect();
    assert_eq!(states.len(), 200 - vanished);
    assert_eq!(states.iter().filter(|state| **state == MicroVmState::Failed).count(), failed);
    assert!(states.iter().all(|state| matches!(state, MicroVmState::Failed | MicroVmState::Created)));
}

#[test]
fn the_same_seed_brings_the_same_faults_and_a_rate_moves_no_other() {
    let run = |faults: &[&str]| {
        let mut world = World::new(Settings::default(), faults);
        (0..100).map(|n| world.reply(creating(valid("", &format!("m{n}"))))).collect::<Vec<_>>()
    };
    let (one, same) = (run(&["lost-reply=20%"]), run(&["lost-reply=20%"]));
    assert_eq!(one, same);
    let with_more = run(&["lost-reply=20%", "failed=50%"]);
    let lost = |replies: &[Reply]| replies.iter().map(|reply| reply.faults.contains(&FaultKind::LostReply)).collect::<Vec<_>>();
    assert_eq!(lost(&one), lost(&with_more));
    assert!(lost(&one).contains(&true) && lost(&one).contains(&false));
}

#[test]
fn one_put_there_is_created_and_one_taken_away_is_gone() {
    let mut world = World::new(Settings::default(), &["unavailable=1"]);
    let put = world.host.put(valid("team", "foreign"), world.now, &mut world.random).unwrap();
    assert_eq!(state(&put), (2, MicroVmState::Created));
    assert!(world.host.put(MicroVmSpec::default(), world.now, &mut world.random).is_err());
    world.faults = Faults::default();
    assert_eq!(world.get(uid(&put)).unwrap(), put);
    assert!(world.host.vanish(uid(&put)) && !world.host.vanish(uid(&put)));
    assert!(world.get(uid(&put)).is_err());
}
