//! The supervisor's life cycle explored: three components in need of one another, crashes of the supervisor and of each component at any point.

use std::collections::BTreeSet;

use capstead_reconcile::Outcome;
use capstead_reconcile::explore::Broken;
use capstead_reconcile::explore::Limits;
use capstead_reconcile::explore::World;
use capstead_reconcile::explore::explore;

use super::super::*;

/// A store, a server that needs it, a manager that needs the server and brings objects.
const NAMES: [&str; 3] = ["store", "server", "manager"];
const STORE: usize = 0;
const SERVER: usize = 1;
const MANAGER: usize = 2;

/// What differs from the shipped way, to prove that the exploration would see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Spoilt {
    No,
    /// Processes do not inherit a lock, so a second one can be started.
    NoLock,
    /// Nobody asks again for objects after the server was replaced.
    AskOnlyOnce,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Machine {
    binary: bool,
    files: bool,
    /// Living processes: process id, and whether it answers yet.
    processes: BTreeSet<(u32, bool)>,
    /// Forked, but not yet to be seen: the supervisor died between fork and exec.
    unborn: Option<u32>,
    /// Times a process ended by itself: enough to make its restarts wait.
    killed: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Host {
    spoilt: Spoilt,
    run: bool,
    machines: [Machine; 3],
    objects: bool,
    webhooks: bool,
    next_pid: u32,
}

/// What a component's task remembers; all of it is lost when the supervisor dies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Memory {
    held: Option<u32>,
    marks: Option<(Option<u32>, bool, bool)>,
}

#[derive(Clone, Debug)]
enum Event {
    Answers(usize),
    Born(usize),
    Dies(usize),
    LosesBinary(usize),
    DownAsked,
}

impl Host {
    fn new(spoilt: Spoilt) -> Self {
        let machine = Machine { binary: false, files: false, processes: BTreeSet::new(), unborn: None, killed: 0 };
        Self { spoilt, run: true, machines: [machine.clone(), machine.clone(), machine], objects: false, webhooks: false, next_pid: 1 }
    }

    fn answers(&self, n: usize) -> bool {
        self.machines[n].processes.iter().any(|(_, answers)| *answers)
    }

    fn ready(&self, n: usize) -> bool {
        self.answers(n) && (n != MANAGER || self.webhooks)
    }

    fn server_pid(&self) -> Option<u32> {
        self.machines[SERVER].processes.first().map(|(pid, _)| *pid)
    }
}

impl World for Host {
    type Actor = usize;
    type Memory = Memory;
    type Step = Step;
    type Event = Event;

    fn actors(&self) -> Vec<usize> {
        vec![STORE, SERVER, MANAGER]
    }

    fn plan(&self, n: usize, memory: &mut Memory, _: usize) -> Plan<Step> {
        let machine = &self.machines[n];
        memory.held = memory.held.filter(|held| machine.processes.iter().any(|(pid, _)| pid == held));
        let installed = if n != MANAGER {
            (Installed::Yes, Installed::Yes)
        } else if self.answers(SERVER) {
            let asked = memory.marks.filter(|(pid, ..)| *pid == self.server_pid() || self.spoilt == Spoilt::AskOnlyOnce);
            let (_, objects, webhooks) = asked.unwrap_or((self.server_pid(), self.objects, self.webhooks));
            memory.marks = Some((self.server_pid(), objects, webhooks));
            let there = |there| if there { Installed::Yes } else { Installed::No };
            (there(objects), there(webhooks))
        } else {
            (Installed::Unknown, Installed::Unknown)
        };
        let needs = (n > 0).then(|| n - 1);
        let seen = Observed {
            binary: machine.binary,
            files: machine.files,
            processes: machine
                .processes
                .iter()
                .map(|(pid, answers)| Process { pid: *pid, held: memory.held == Some(*pid), current: true, ready: *answers })
                .collect(),
            exits: Exits::default(),
            taken: None,
            objects: installed.0,
            webhooks: installed.1,
            without_objects: Vec::new(),
            unready: needs.filter(|other| !self.ready(*other)).map(|other| NAMES[other].to_owned()).into_iter().collect(),
            dependents: self
                .machines
                .get(n + 1)
                .filter(|other| !other.processes.is_empty())
                .map(|_| NAMES[n + 1].to_owned())
                .into_iter()
                .collect(),
        };
        let wish = Wish { run: self.run, objects: n == MANAGER, webhooks: n == MANAGER };
        Lifecycle::plan(&wish, &seen, Timestamp::UNIX_EPOCH)
    }

    fn apply(&mut self, n: usize, memory: &mut Memory, step: &Step) -> Outcome {
        let server = self.answers(SERVER);
        let pid = self.next_pid;
        let machine = &mut self.machines[n];
        match step {
            Step::Fetch => machine.binary = true,
            Step::Write => machine.files = true,
            Step::Start if self.spoilt != Spoilt::NoLock && (machine.unborn.is_some() || !machine.processes.is_empty()) => {
                return Outcome::transient("locked");
            }
            Step::Start if !machine.binary => return Outcome::Gone,
            Step::Start => {
                machine.unborn = Some(pid);
                memory.held = Some(pid);
                self.next_pid += 1;
                // A living supervisor waits for exec; a dead one does not.
                self.happen(&Event::Born(n));
            }
            Step::Adopt(pid) if machine.processes.iter().any(|(other, _)| other == pid) => memory.held = Some(*pid),
            Step::Adopt(_) => return Outcome::Gone,
            Step::Stop(pid) => machine.processes.retain(|(other, _)| other != pid),
            Step::InstallObjects | Step::InstallWebhooks if !server => return Outcome::transient("connection refused"),
            Step::InstallObjects => {
                self.objects = true;
                memory.marks = memory.marks.map(|(pid, _, webhooks)| (pid, true, webhooks));
            }
            Step::InstallWebhooks => {
                self.webhooks = true;
                memory.marks = memory.marks.map(|(pid, objects, _)| (pid, objects, true));
            }
        }
        Outcome::Done
    }

    fn crashed(&mut self, _: usize) {
        // The worst moment: a process that was just started is not to be seen yet.
        for machine in &mut self.machines {
            if let Some(youngest) = machine.processes.last().filter(|(pid, answers)| pid + 1 == self.next_pid && !answers).copied() {
                machine.processes.remove(&youngest);
                machine.unborn = Some(youngest.0);
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        let machines = self.machines.iter().enumerate();
        let born = machines.clone().filter(|(_, machine)| machine.unborn.is_some()).map(|(n, _)| Event::Born(n));
        let answer =
            machines.filter(|(n, machine)| (*n == STORE || self.ready(n - 1)) && machine.processes.iter().any(|(_, answers)| !answers));
        born.chain(answer.map(|(n, _)| Event::Answers(n))).collect()
    }

    fn faults(&self) -> Vec<Event> {
        let living = self.machines.iter().enumerate().filter(|(_, machine)| !machine.processes.is_empty());
        let mut faults: Vec<Event> = living.map(|(n, _)| Event::Dies(n)).collect();
        faults.extend(self.machines.iter().enumerate().filter(|(_, machine)| machine.binary).map(|(n, _)| Event::LosesBinary(n)));
        if self.run {
            faults.push(Event::DownAsked);
        }
        faults
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Answers(n) => self.machines[*n].processes = self.machines[*n].processes.iter().map(|(pid, _)| (*pid, true)).collect(),
            Event::Born(n) => {
                let born = self.machines[*n].unborn.take();
                self.machines[*n].processes.extend(born.map(|pid| (pid, false)));
            }
            Event::Dies(n) => {
                self.machines[*n].processes.clear();
                if *n == SERVER {
                    // The worst that an ephemeral plane may see: all objects are gone.
                    (self.objects, self.webhooks) = (false, false);
                }
            }
            Event::LosesBinary(n) => self.machines[*n].binary = false,
            Event::DownAsked => self.run = false,
        }
    }

    fn check(&self) -> Result<(), String> {
        for (name, machine) in NAMES.iter().zip(&self.machines) {
            if machine.processes.len() + usize::from(machine.unborn.is_some()) > 1 {
                return Err(format!("two processes of {name}"));
            }
        }
        Ok(())
    }

    fn goal(&self) -> Result<(), String> {
        for (n, name) in NAMES.iter().enumerate() {
            match (self.run, self.ready(n), self.machines[n].processes.is_empty()) {
                (true, false, _) => return Err(format!("{name} is not ready")),
                (false, _, false) => return Err(format!("{name} still runs")),
                _ => (),
            }
        }
        if self.run && !self.objects {
            return Err("webhooks without objects".into());
        }
        Ok(())
    }
}

#[test]
fn every_history_with_two_faults_ends_as_wished() {
    let explored = explore(Host::new(Spoilt::No), Limits::default()).unwrap_or_else(|found| panic!("{found}"));
    println!("supervisor, three components, 2 faults: {explored}");
    assert!(explored.states > 1000, "{explored}");
}

#[test]
fn without_the_inherited_lock_a_second_process_would_be_started() {
    let found = explore(Host::new(Spoilt::NoLock), Limits::default()).expect_err("two processes");
    assert_eq!((found.broken, found.why.as_str()), (Broken::Check, "two processes of store"), "{found}");
}

#[test]
fn objects_are_asked_for_again_after_the_server_was_replaced() {
    let found = explore(Host::new(Spoilt::AskOnlyOnce), Limits::default()).expect_err("stale marks");
    assert!(matches!(found.broken, Broken::Goal | Broken::Check), "{found}");
    assert!(found.history.iter().any(|line| line.contains("Dies(1)")), "{found}");
}
