//! From states to states: the plans of prepare and restore. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use capstead_reconcile::Finding;
use capstead_reconcile::Plan;
use capstead_reconcile::Reconciler;
use capstead_reconcile::Timestamp;
use capstead_reconcile::Truth;

use super::goals::Goal;
use super::journal::Entry;
use super::state::Key;
use super::state::State;

/// What undoes a change of the uplink by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Guard {
    /// Nothing is to be confirmed.
    #[default]
    Idle,
    /// The change is undone soon, unless it is confirmed.
    Armed,
    /// It was undone.
    Fired,
}

/// A machine, as far as it is to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Situation {
    /// How things are; what is not named is absent.
    pub states: BTreeMap<Key, State>,
    /// How they were, in the order in which they were changed.
    pub journal: Vec<Entry>,
    /// Whether a change of the uplink waits for its confirmation.
    pub guard: Guard,
}

impl Situation {
    pub(super) fn state(&self, key: &Key) -> &State {
        self.states.get(key).unwrap_or(&State::Absent)
    }

    fn recorded(&self, key: &Key) -> bool {
        self.journal.iter().any(|entry| entry.key == *key)
    }
}

/// One effect. Each may be done twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Writes down how something is.
    Record(Entry),
    /// Makes something be so.
    Set(Key, State),
    /// Makes the uplink be so, and sees to it that it is undone in a minute, unless it is confirmed. Both in one go: between the two there is no time.
    Try(Key),
    /// Reaches the machine by a new connection, and calls that off. It fails where it is too late.
    Confirm,
    /// Forgets the journal: all is as it was.
    Forget,
}

/// Makes a machine into a host. Its wish are the goals that [`super::goals()`] makes.
#[derive(Debug)]
pub struct Prepare;

impl Reconciler for Prepare {
    type Wish = Vec<Goal>;
    type Observed = Situation;
    type Step = Step;

    fn plan(goals: &Vec<Goal>, now: &Situation, _: Timestamp) -> Plan<Step> {
        let plan = Plan::settled();
        let joins = |goal: &&Goal| matches!(goal.key, Key::Uplink(_)) && now.state(&goal.key) != &goal.state;
        if now.guard == Guard::Fired && goals.iter().any(|goal| joins(&goal)) {
            let why = "it cut the connection, so it was undone; `capstead host restore` gives it up, and then it can be tried anew";
            let finding = Finding { about: "UplinkJoined".into(), truth: Truth::False, reason: "RolledBack".into(), message: why.into() };
            return plan.finding(finding).waiting("the uplink's place in the bridge", why);
        }
        // What an earlier wish changed, and this one does not name, goes back to what it was.
        let wished: BTreeSet<&Key> = goals.iter().map(|goal| &goal.key).collect();
        let obsolete = now.journal.iter().rev().filter(|entry| !wished.contains(&entry.key)).map(Goal::back);
        let all: Vec<Goal> = obsolete.chain(goals.iter().cloned()).collect();

        let mut steps = Vec::new();
        if now.guard == Guard::Armed && !goals.iter().any(|goal| joins(&goal)) {
            // We look at it by a new connection, so it is reached.
            steps.push(Step::Confirm);
        }
        let mut recorded = BTreeSet::new();
        for (key, state) in converge(&all, now) {
            if !key.lasting() && !now.recorded(&key) && recorded.insert(key.clone()) {
                let rests = all.iter().find(|goal| goal.key == key).map(|goal| goal.rests.clone()).unwrap_or_default();
                steps.push(Step::Record(Entry { before: now.state(&key).whole().clone(), key: key.clone(), rests }));
            }
            if matches!((&key, &state), (Key::Uplink(_), State::Present)) {
                steps.extend([Step::Try(key), Step::Confirm]);
            } else {
                steps.push(Step::Set(key, state));
            }
        }
        steps.into_iter().fold(plan, Plan::then)
    }
}

/// Makes it what it was. It wishes nothing but what the journal says.
#[derive(Debug)]
pub struct Restore;

impl Reconciler for Restore {
    type Wish = ();
    type Observed = Situation;
    type Step = Step;

    fn plan((): &(), now: &Situation, _: Timestamp) -> Plan<Step> {
        if now.journal.is_empty() && now.guard == Guard::Idle {
            return Plan::settled();
        }
        let goals: Vec<Goal> = now.journal.iter().rev().map(Goal::back).collect();
        let confirm = (now.guard == Guard::Armed).then_some(Step::Confirm);
        let back = converge(&goals, now);
        // The journal goes by another look, which shows that all is back. Only folders may stay: what others put in there is theirs.
        let forget = back.iter().all(|(key, _)| matches!(key, Key::Folder(_))).then_some(Step::Forget);
        let back = back.into_iter().map(|(key, state)| Step::Set(key, state));
        confirm.into_iter().chain(back).chain(forget).fold(Plan::settled(), Plan::then)
    }
}

/// What to set, in order: units down whose ground moves, all that is no unit, units up.
fn converge(goals: &[Goal], now: &Situation) -> Vec<(Key, State)> {
    let differs = |goal: &&Goal| now.state(&goal.key) != &goal.state;
    let moving: BTreeSet<&Key> = goals.iter().filter(differs).map(|goal| &goal.key).collect();
    let (units, others): (Vec<&Goal>, Vec<&Goal>) = goals.iter().partition(|goal| matches!(goal.key, Key::Unit(_)));
    let (late, early): (Vec<&Goal>, Vec<&Goal>) = others.into_iter().partition(|goal| matches!(goal.key, Key::Image(_)));

    let mut down: BTreeMap<&Key, State> = BTreeMap::new();
    // A unit that rests on one that goes down goes down with it. Each round may move further ones.
    loop {
        let before = down.len();
        for goal in &units {
            let State::Unit { enabled, active } = now.state(&goal.key).clone() else { continue };
            let State::Unit { enabled: wish_enabled, active: wish_active } = goal.state else { continue };
            let shaken = goal.rests.iter().any(|key| moving.contains(key) && !matches!(key, Key::Unit(_)) || down.contains_key(key));
            let stops = active && (!wish_active || shaken);
            if stops || (enabled && !wish_enabled) {
                down.insert(&goal.key, State::Unit { enabled: enabled && wish_enabled, active: active && !stops });
            }
        }
        if down.len() == before {
            break;
        }
    }
    let mut set: Vec<(Key, State)> = Vec::new();
    // Who rests on others comes down before them: goals name what is rested on first, those that lead back name it last.
    let order = order(&units);
    set.extend(order.iter().rev().filter_map(|goal| Some((goal.key.clone(), down.get(&goal.key)?.clone()))));
    set.extend(early.into_iter().filter(differs).map(|goal| (goal.key.clone(), goal.state.clone())));
    let after = |goal: &Goal| down.get(&goal.key).unwrap_or_else(|| now.state(&goal.key)).clone();
    let idle = State::Unit { enabled: false, active: false };
    let stays = |state: &State, goal: &State| state == goal || (*state == State::Absent && *goal == idle);
    set.extend(order.iter().filter(|goal| !stays(&after(goal), &goal.state)).map(|goal| (goal.key.clone(), goal.state.clone())));
    set.extend(late.into_iter().filter(differs).map(|goal| (goal.key.clone(), goal.state.clone())));
    set
}

/// Units so that each comes after those it rests on.
fn order<'a>(units: &[&'a Goal]) -> Vec<&'a Goal> {
    let mut ordered: Vec<&Goal> = Vec::new();
    let mut left: Vec<&Goal> = units.to_vec();
    while !left.is_empty() {
        let ready = |goal: &&Goal| !goal.rests.iter().any(|key| left.iter().any(|other| other.key == *key && other.key != goal.key));
        let (mut now, later): (Vec<&Goal>, Vec<&Goal>) = left.iter().partition(|goal| ready(goal));
        if now.is_empty() {
            // A ring: any order is as good.
            ordered.extend(later);
            break;
        }
        ordered.append(&mut now);
        left = later;
    }
    ordered
}

#[cfg(test)]
mod tests;
