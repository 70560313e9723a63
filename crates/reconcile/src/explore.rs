//! Exhaustive exploration of a reconciler in a small model world.
//!
//! The caller models the *world* ([`World`]): what is there, what a step does to it, what happens by itself, what can go wrong. The planner and the
//! executor ([`Pass`]) are the shipped ones. The explorer then visits every interleaving, breadth first, of
//!
//! - passes beginning (observe and plan) and their steps, of every actor;
//! - crashes of a process before and after each step, with loss of all memory;
//! - calls that fail, and calls that work but whose reply is lost;
//! - stale views, where the world offers them;
//! - whatever the world does by itself ([`World::events`]) and its own faults ([`World::faults`]).
//!
//! Faults are limited by a budget per history. In every state reached the world's [`World::check`] must hold; and from every state reached, without
//! further faults, the actors must bring the world to rest, within a bounded number of rounds, in a state where [`World::goal`] holds. Running on from each
//! state finds cycles ("two planners that undo each other for ever"), which a plain *eventually* misses.
//!
//! A failure comes with the shortest history that leads to it.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::fmt::Debug;
use std::hash::Hash;
use std::rc::Rc;

use crate::Outcome;
use crate::Pass;
use crate::Plan;
use crate::Timestamp;

/// A small model of everything outside the reconcilers.
pub trait World: Clone + Eq + Hash + Debug {
    /// Who runs passes: one per object and reconciler.
    type Actor: Copy + Eq + Debug;
    /// What an actor keeps between passes (caches, counters) and loses in a crash.
    type Memory: Clone + Eq + Hash + Debug + Default;
    /// The shipped step type (an enum of them where several reconcilers act).
    type Step: Clone + Eq + Hash + Debug;
    /// Something that happens without any actor: a machine boots, time passes; or a fault.
    type Event: Clone + Debug;

    /// The actors, always the same and in the same order.
    fn actors(&self) -> Vec<Self::Actor>;

    /// The process an actor lives in. Actors of one process crash together.
    fn process(&self, _actor: Self::Actor) -> usize {
        0
    }

    /// Observes and plans, by the shipped planner. `stale` counts up to [`World::stale_views`]: 0 is a fresh view.
    fn plan(&self, actor: Self::Actor, memory: &mut Self::Memory, stale: usize) -> Plan<Self::Step>;

    /// How many stale views `actor` might get instead of a fresh one. Each costs one fault.
    fn stale_views(&self, _actor: Self::Actor, _memory: &Self::Memory) -> usize {
        0
    }

    /// What a step does to the world, and its reply.
    fn apply(&mut self, actor: Self::Actor, memory: &mut Self::Memory, step: &Self::Step) -> Outcome;

    /// What dies or changes in the world itself when a process crashes.
    fn crashed(&mut self, _process: usize) {}

    /// What may happen by itself, and, if nothing else happens, will.
    fn events(&self) -> Vec<Self::Event> {
        Vec::new()
    }

    /// What may go wrong. Each costs one fault.
    fn faults(&self) -> Vec<Self::Event> {
        Vec::new()
    }

    /// Makes an event or fault happen.
    fn happen(&mut self, _event: &Self::Event) {}

    /// Time passes up to `at`, a time some plan asked to look again at. Worlds with a clock move it; it is only called when nothing else can happen.
    fn wait_until(&mut self, _at: Timestamp) {}

    /// What must hold always.
    ///
    /// # Errors
    /// Says what does not hold.
    fn check(&self) -> Result<(), String>;

    /// What must hold when everything has come to rest.
    ///
    /// # Errors
    /// Says what does not hold.
    fn goal(&self) -> Result<(), String>;
}

/// How far to explore.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Faults in one history: crashes, failures, lost replies, stale views and the world's own.
    pub faults: u8,
    /// States after which to give up. Giving up is a failure, never a silent pass.
    pub states: usize,
    /// Rounds (every actor runs one pass, every event happens) within which the world must come to rest without further faults.
    pub rounds: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { faults: 2, states: 1_000_000, rounds: 50 }
    }
}

/// What was visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Moves between them.
    pub moves: usize,
    /// The longest shortest history.
    pub depth: usize,
    /// The most rounds any state needed to come to rest.
    pub rounds: usize,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} moves, histories up to {} long, at rest within {} rounds",
            self.states, self.moves, self.depth, self.rounds
        )
    }
}

/// Why exploration failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// [`World::check`] failed.
    Check,
    /// At rest, but [`World::goal`] failed.
    Goal,
    /// The same states come round again without faults.
    Cycle,
    /// Not at rest within [`Limits::rounds`].
    Rounds,
    /// More than [`Limits::states`] states.
    Limit,
}

/// The shortest history found that breaks a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Which promise.
    pub broken: Broken,
    /// What does not hold.
    pub why: String,
    /// One line per move, from the beginning.
    pub history: Vec<String>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}: {}", self.broken, self.why)?;
        for (n, line) in self.history.iter().enumerate() {
            writeln!(f, "{:4}. {line}", n + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for Counterexample {}

/// Explores every history from `world` within `limits`.
///
/// # Errors
/// The shortest history that breaks [`World::check`], [`World::goal`] or the return to rest.
pub fn explore<W: World>(world: W, limits: Limits) -> Result<Explored, Box<Counterexample>> {
    Search::new(limits).run(world)
}

/// One actor's side of a state.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Acting<W: World> {
    memory: W::Memory,
    pass: Option<Pass<W::Step>>,
}

impl<W: World> Default for Acting<W> {
    fn default() -> Self {
        Self { memory: W::Memory::default(), pass: None }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State<W: World> {
    world: W,
    acting: Vec<Acting<W>>,
    faults: u8,
}

/// How an actor's call ends, apart from the plain way.
#[derive(Clone, Copy)]
enum Call {
    Plain,
    Failed,
    ReplyLost,
    CrashAfter,
}

impl<W: World> State<W> {
    /// Starts a pass: observes, plans, and keeps the steps if there are any.
    fn begin(&self, n: usize, actor: W::Actor, stale: usize) -> (Self, Option<Timestamp>) {
        let mut next = self.clone();
        let plan = self.world.plan(actor, &mut next.acting[n].memory, stale);
        if !plan.steps.is_empty() {
            next.acting[n].pass = Some(Pass::new(plan.steps));
        }
        (next, plan.again)
    }

    /// Performs the next step of actor `n`'s pass, if it has one.
    fn step(&self, n: usize, actor: W::Actor, call: Call) -> Option<(Self, W::Step)> {
        let step = self.acting[n].pass.as_ref()?.next()?.clone();
        let mut next = self.clone();
        let outcome = match call {
            Call::Failed => Outcome::transient("call failed"),
            _ => next.world.apply(actor, &mut next.acting[n].memory, &step),
        };
        match call {
            Call::CrashAfter => next.crash(self.world.process(actor)),
            Call::ReplyLost => next.record(n, Outcome::transient("reply lost")),
            Call::Plain | Call::Failed => next.record(n, outcome),
        }
        Some((next, step))
    }

    fn record(&mut self, n: usize, outcome: Outcome) {
        if let Some(mut pass) = self.acting[n].pass.take() {
            pass.record(outcome);
            self.acting[n].pass = pass.next().is_some().then_some(pass);
        }
    }

    fn crash(&mut self, process: usize) {
        for (n, actor) in self.world.actors().into_iter().enumerate() {
            if self.world.process(actor) == process {
                self.acting[n] = Acting::default();
            }
        }
        self.world.crashed(process);
    }

    fn fault(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        next.faults -= 1;
        change(&mut next);
        next
    }

    /// Every state one move away, each with the move in words. Stale views, failures and crashes only while faults are left.
    fn moves(&self) -> Vec<(String, Self)> {
        let mut moves = Vec::new();
        let mut processes = HashSet::new();
        for (n, actor) in self.world.actors().into_iter().enumerate() {
            if self.acting[n].pass.is_none() {
                moves.push((format!("{actor:?} looks"), self.begin(n, actor, 0).0));
            }
            if let Some((next, step)) = self.step(n, actor, Call::Plain) {
                moves.push((format!("{actor:?} does {step:?}"), next));
            }
            if self.faults == 0 {
                continue;
            }
            let spent = self.fault(|_| ());
            if self.acting[n].pass.is_none() {
                for view in 1..=self.world.stale_views(actor, &self.acting[n].memory) {
                    moves.push((format!("{actor:?} looks, and gets stale view {view}"), spent.begin(n, actor, view).0));
                }
            }
            for (call, words) in [
                (Call::Failed, "and the call fails"),
                (Call::ReplyLost, "but the reply is lost"),
                (Call::CrashAfter, "and its process crashes at once"),
            ] {
                if let Some((next, step)) = spent.step(n, actor, call) {
                    moves.push((format!("{actor:?} does {step:?}, {words}"), next));
                }
            }
            let process = self.world.process(actor);
            if processes.insert(process) {
                moves.push((format!("process {process} crashes"), self.fault(|s| s.crash(process))));
            }
        }
        for event in self.world.events() {
            let mut next = self.clone();
            next.world.happen(&event);
            moves.push((format!("{event:?} happens"), next));
        }
        if self.faults > 0 {
            for event in self.world.faults() {
                moves.push((format!("{event:?} happens (fault)"), self.fault(|s| s.world.happen(&event))));
            }
        }
        moves.retain(|(_, next)| next != self);
        moves
    }

    /// One fair round without faults: every pass runs to its end, every event happens. Returns the times plans asked to look again at.
    fn round(&mut self, backwards: bool, history: &mut Vec<String>) -> Option<Timestamp> {
        let mut again: Option<Timestamp> = None;
        let mut actors: Vec<(usize, W::Actor)> = self.world.actors().into_iter().enumerate().collect();
        if backwards {
            actors.reverse();
        }
        for (n, actor) in actors {
            if self.acting[n].pass.is_none() {
                let (next, at) = self.begin(n, actor, 0);
                *self = next;
                again = again.into_iter().chain(at).min();
            }
            while let Some((next, step)) = self.step(n, actor, Call::Plain) {
                history.push(format!("{actor:?} does {step:?}"));
                *self = next;
            }
        }
        for event in self.world.events() {
            let before = self.world.clone();
            self.world.happen(&event);
            if self.world != before {
                history.push(format!("{event:?} happens"));
            }
        }
        again
    }
}

struct Search<W: World> {
    limits: Limits,
    /// State, its parent and the move that led here.
    states: Vec<(Rc<State<W>>, usize, String, usize)>,
    known: HashMap<Rc<State<W>>, usize>,
    /// States from which rest is reached, per order of actors.
    restful: [HashSet<State<W>>; 2],
    explored: Explored,
}

impl<W: World> Search<W> {
    fn new(limits: Limits) -> Self {
        let explored = Explored { states: 0, moves: 0, depth: 0, rounds: 0 };
        Self { limits, states: Vec::new(), known: HashMap::new(), restful: [HashSet::new(), HashSet::new()], explored }
    }

    fn run(mut self, world: W) -> Result<Explored, Box<Counterexample>> {
        let acting = world.actors().iter().map(|_| Acting::default()).collect();
        self.add(State { world, acting, faults: self.limits.faults }, 0, String::new(), 0)?;
        let mut at = 0;
        while at < self.states.len() {
            let (state, depth) = (Rc::clone(&self.states[at].0), self.states[at].3);
            for (words, next) in state.moves() {
                self.explored.moves += 1;
                self.add(next, at, words, depth + 1)?;
            }
            at += 1;
        }
        self.explored.states = self.states.len();
        Ok(self.explored)
    }

    fn add(&mut self, state: State<W>, parent: usize, words: String, depth: usize) -> Result<(), Box<Counterexample>> {
        if self.known.contains_key(&state) {
            return Ok(());
        }
        let at = self.states.len();
        let state = Rc::new(state);
        self.known.insert(Rc::clone(&state), at);
        self.states.push((Rc::clone(&state), parent, words, depth));
        self.explored.depth = self.explored.depth.max(depth);
        if at >= self.limits.states {
            return Err(self.broken(Broken::Limit, format!("more than {} states", self.limits.states), at, Vec::new()));
        }
        if let Err(why) = state.world.check() {
            return Err(self.broken(Broken::Check, why, at, Vec::new()));
        }
        for backwards in [false, true] {
            self.comes_to_rest(&state, at, backwards)?;
        }
        Ok(())
    }

    /// Runs on from `state` without faults and asserts that the world comes to rest, rightly.
    fn comes_to_rest(&mut self, state: &State<W>, at: usize, backwards: bool) -> Result<(), Box<Counterexample>> {
        let mut now = State { faults: 0, ..state.clone() };
        let mut path = HashSet::new();
        let mut history = vec!["-- from here on without faults --".to_owned()];
        for round in 0..=self.limits.rounds {
            if self.restful[usize::from(backwards)].contains(&now) {
                self.restful[usize::from(backwards)].extend(path);
                self.explored.rounds = self.explored.rounds.max(round);
                return Ok(());
            }
            if !path.insert(now.clone()) {
                return Err(self.broken(Broken::Cycle, "the same state comes round again: it never rests".into(), at, history));
            }
            let (before, told) = (now.clone(), history.len());
            let again = now.round(backwards, &mut history);
            if let Err(why) = now.world.check() {
                return Err(self.broken(Broken::Check, why, at, history));
            }
            // A round that did things is no rest, even if it ends where it began: that is a cycle.
            if now != before || history.len() > told {
                continue;
            }
            if let Some(time) = again {
                history.push(format!("time passes to {time}"));
                now.world.wait_until(time);
                if now != before {
                    continue;
                }
            }
            if let Err(why) = now.world.goal() {
                return Err(self.broken(Broken::Goal, why, at, history));
            }
            self.restful[usize::from(backwards)].extend(path);
            self.explored.rounds = self.explored.rounds.max(round);
            return Ok(());
        }
        Err(self.broken(Broken::Rounds, format!("not at rest after {} rounds", self.limits.rounds), at, history))
    }

    fn broken(&self, broken: Broken, why: String, mut at: usize, after: Vec<String>) -> Box<Counterexample> {
        let mut history = Vec::new();
        while at != 0 {
            let (_, parent, words, _) = &self.states[at];
            history.push(words.clone());
            at = *parent;
        }
        history.reverse();
        history.extend(after);
        Box::new(Counterexample { broken, why, history })
    }
}

#[cfg(test)]
mod tests;
