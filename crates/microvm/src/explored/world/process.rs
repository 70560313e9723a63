//! What our process does: passes as the keeper runs them, and the watches of hosts.

use super::*;

impl Lab {
    pub(in crate::explored) fn wish(&self) -> machine::Wish {
        let host = |host| machine::Host { endpoint: address(host), control_plane_allowed: true, most: None };
        machine::Wish { hosts: (0..self.hosts.len()).map(host).collect(), ..machine::Wish::default() }
    }

    /// Where an object is placed.
    pub(in crate::explored) fn home(&self, n: usize) -> usize {
        let name = name(n);
        let subject =
            Subject { namespace: &name.namespace, name: &name.name, provider_id: None, failure_domain: None, control_plane: false };
        let home = Microvms::place(&subject, &self.wish(), &Observed::Unseen).expect("a host");
        usize::from(number(&home))
    }

    pub(in crate::explored) fn wake(&mut self, n: usize, at: Timestamp) {
        let queue = &mut self.slots[n].queue;
        *queue = Some(queue.map_or(at, |known| known.min(at)));
    }

    pub(in crate::explored) fn notice(&mut self, host: usize) {
        if self.has.bug != Bug::NoNotice {
            self.hosts[host].sleep = None;
        }
    }

    pub(in crate::explored) fn doubted(&mut self, host: usize, began: Timestamp) {
        self.hosts[host].cache.doubted(began);
        self.notice(host);
    }

    pub(in crate::explored) fn recall(&self, n: usize, uid: u8) -> Known {
        let known = self.slots[n].known.as_ref().filter(|known| known.uid == uid).cloned();
        let since = if self.has.bug == Bug::ForgetsThePast { FAR } else { self.since };
        known.unwrap_or_else(|| Known { uid, grounds: Grounds::unknown(since, Microvms::LANDING), failure: None, again: None })
    }

    /// A pass as the keeper begins it: look, plan.
    pub(in crate::explored) fn begin(&mut self, n: usize) {
        self.slots[n].queue = None;
        let Some(api) = self.slots[n].store.clone() else {
            self.slots[n].known = None;
            self.hosts.iter_mut().for_each(|host| host.cache.forget(&name(n)));
            return;
        };
        let known = self.recall(n, api.uid);
        let (mut looked, mut outside) = (None, Observed::default());
        if api.claim.is_some() || !api.deleting {
            let host = api.claim.map_or_else(|| self.home(n), |(_, host)| host);
            let token = api.claim.map(|(token, _)| spec::token(&format!("u{token}"))).unwrap_or_default();
            let not_before = known.again.and_then(|again| again.not_before(NOW)).filter(|_| self.has.bug != Bug::AnyLook);
            let seen = self.hosts[host].cache.look(&name(n), Own { token: &token, uid: None }, not_before);
            self.notice(host);
            let Some((began, seen)) = seen else {
                self.slots[n].known = Some(known);
                return;
            };
            (looked, outside) = (Some(began), seen);
        }
        let plan = self.planned(n, &api, &known, looked, outside);
        if plan.steps.is_empty() {
            let report = Pass::new(Vec::new()).report();
            self.finish(n, known, &report, &plan, Again::of(&plan, looked));
        } else {
            let again = Again::of(&plan, looked);
            let pass = Pass::new(plan.steps);
            self.slots[n].running = Some(Running { base: api, known, pass, again, reply: None });
        }
    }

    pub(in crate::explored) fn planned(
        &self,
        n: usize,
        api: &Api,
        known: &Known,
        looked: Option<Timestamp>,
        outside: Observed,
    ) -> Plan<Step> {
        let Name { namespace, name } = name(n);
        let seen = Whole {
            object: Object {
                namespace,
                name,
                uid: format!("u{}", api.uid),
                deleting: api.deleting,
                finalizer: api.finalizer,
                watched: true,
                externally_managed: false,
                paused: false,
                forced: api.forced,
                claim: api.claim.map(|(token, host)| Claim { token: format!("u{token}"), placement: address(host) }),
            },
            provider_id: api.provider_id.clone(),
            status: api.status.clone(),
            status_current: api.current,
            owner: Referred::Found(Owner { failure_domain: None, control_plane: false, bootstrap: Bootstrap::Ready }),
            cluster: Referred::Found(Cluster { paused: false, infrastructure_provisioned: true }),
            grounds: if self.has.bug == Bug::NoGrounds { Grounds::After(Timestamp::UNIX_EPOCH) } else { known.grounds },
            looked,
            failure: known.failure.clone(),
            outside,
        };
        // As the runtime books.
        let down = |host: usize| self.hosts[host].cache.down().is_some();
        let instead = |(_, host)| (0..self.hosts.len()).find(|other| down(host) && !down(*other)).unwrap_or(host);
        let booked = api.claim.map(instead).map(|host| Ok(address(host)));
        let mut plan = Lifecycle::<Microvms>::plan(&machine::Wish { booked, ..self.wish() }, &seen, NOW);
        if self.has.bug == Bug::MakeBeforeClaim {
            plan.steps.sort_by_key(|step| !matches!(step, Step::Make(_)));
        }
        plan
    }

    /// What the keeper makes of a pass that is over, and the queue of that.
    pub(in crate::explored) fn finish(
        &mut self,
        n: usize,
        mut known: Known,
        report: &Report<Step>,
        plan: &Plan<Step>,
        again: Option<Again>,
    ) {
        known.again = again;
        match &report.ended {
            Ended::Finished if report.applied.is_empty() && !plan.is_settled() => (),
            Ended::Finished => known.failure = None,
            Ended::Gone => (),
            Ended::Transient { cause, .. } | Ended::Terminal { cause, .. } => known.failure = Some(Failure { cause: cause.clone() }),
        }
        self.slots[n].known = Some(known);
        let released = matches!(report.applied.last(), Some(Step::Release { .. })) && report.ended == Ended::Finished;
        match report.look(plan, NOW, &mut Backoff::new(TRY, TRY, 1)) {
            _ if released => (),
            Look::Now if report.ended == Ended::Gone => self.wake(n, after(CONFLICT)),
            Look::Now => self.wake(n, NOW),
            Look::At(at) => self.wake(n, at),
            Look::OnChange => (),
        }
    }

    pub(in crate::explored) fn record(&mut self, n: usize, outcome: Outcome) {
        let Some(mut running) = self.slots[n].running.take() else { return };
        running.pass.record(outcome);
        if running.pass.next().is_some() {
            self.slots[n].running = Some(running);
            return;
        }
        let plan = Plan { again: running.again.map(|again| again.at), ..Plan::settled() };
        self.finish(n, running.known, &running.pass.report(), &plan, running.again);
    }

    pub(in crate::explored) fn next_step(&self, n: usize) -> Option<Step> {
        let running = self.slots[n].running.as_ref().filter(|running| running.reply.is_none())?;
        running.pass.next().cloned()
    }

    /// The next step, if what it does reaches whom it addresses; a reply that is not heard changes nothing that the process knows.
    pub(in crate::explored) fn step(&mut self, n: usize, heard: bool) {
        let Some(step) = self.next_step(n) else { return };
        let outcome = match &step {
            Step::Make(step) | Step::Change(step) => self.send(n, step),
            step => Some(self.write(n, step, heard)),
        };
        match outcome {
            Some(outcome) if heard => self.record(n, outcome),
            Some(_) => self.record(n, Outcome::transient("no reply")),
            None if heard => (),
            None => self.unheard(n),
        }
    }

    /// Sends a step to its host. Without an outcome the reply is on its way.
    pub(in crate::explored) fn send(&mut self, n: usize, step: &machine::Step) -> Option<Outcome> {
        let before = self.slots[n].running.as_ref().map(|running| running.known.grounds);
        let began = self.sending(n, step);
        let running = self.slots[n].running.as_ref()?;
        let Some((token, _)) = running.base.claim else { return Some(Outcome::Gone) };
        let (host, says) = match step {
            machine::Step::Create { host } | machine::Step::Delete { host, .. } if !self.hosts[usize::from(number(host))].up => {
                self.doubted(usize::from(number(host)), began);
                // Never sent, which is an answer, and the life cycle looks again.
                if let (machine::Step::Create { .. }, Some(running)) = (step, &mut self.slots[n].running) {
                    running.known.grounds = Grounds::refused(before?, began);
                }
                return Some(Outcome::Gone);
            }
            machine::Step::Create { host } => {
                let host = usize::from(number(host));
                (host, Says::Created(self.create(host, n, token)))
            }
            machine::Step::Delete { host, uid: microvm } => {
                let host = usize::from(number(host));
                let vms = &mut self.hosts[host].vms;
                let known = vms.iter().position(|vm| uid(vm.uid) == *microvm);
                match known {
                    None => (),
                    Some(at) if self.has.gradual => vms[at].state = State::Deleting,
                    Some(at) => drop(vms.remove(at)),
                }
                (host, known.map_or(Says::NotFound(microvm.clone()), |_| Says::Deleting(microvm.clone())))
            }
        };
        if let Some(running) = &mut self.slots[n].running {
            running.reply = Some(Reply { host, began, says });
        }
        None
    }

    /// What the process notes before it sends.
    pub(in crate::explored) fn sending(&mut self, n: usize, step: &machine::Step) -> Timestamp {
        let began = self.stamp();
        if let (machine::Step::Create { .. }, Some(running)) = (step, &mut self.slots[n].running) {
            running.known.grounds = running.known.grounds.sending(began, Microvms::LANDING);
        }
        began
    }

    pub(in crate::explored) fn create(&mut self, host: usize, n: usize, token: u8) -> Held {
        let state = if self.has.gradual { State::Pending } else { State::Created };
        let vm = Vm { uid: self.next, token, n, state };
        self.next += 1;
        let held = held(&vm);
        self.hosts[host].vms.push(vm);
        held
    }

    /// A host's answer is heard.
    pub(in crate::explored) fn answer(&mut self, n: usize) {
        if self.slots[n].running.as_ref().is_none_or(|running| running.reply.is_none()) {
            return;
        }
        let now = self.stamp();
        let Some(running) = &mut self.slots[n].running else { return };
        let Some(Reply { host, began, says }) = running.reply.take() else { return };
        let cache = &mut self.hosts[host].cache;
        match says {
            Says::Created(held) => {
                cache.created(&name(n), held, now);
                running.known.grounds = running.known.grounds.heard(now);
            }
            Says::Deleting(uid) => cache.deleting(&name(n), &uid),
            Says::NotFound(uid) => drop(cache.got(&name(n), &uid, began, Got::Gone)),
        }
        self.notice(host);
        self.record(n, Outcome::Done);
    }

    /// A host's answer is never heard.
    pub(in crate::explored) fn unheard(&mut self, n: usize) {
        if let Some(Reply { host, began, .. }) = self.slots[n].running.as_mut().and_then(|running| running.reply.take()) {
            self.doubted(host, began);
            self.record(n, Outcome::transient("no reply"));
        }
    }

    /// A step that reaches nobody, or a host only later.
    pub(in crate::explored) fn misses(&mut self, n: usize, later: bool) {
        let Some(step) = self.next_step(n) else { return };
        if let Step::Make(step) | Step::Change(step) = &step {
            let began = self.sending(n, step);
            let token = self.slots[n].running.as_ref().and_then(|running| running.base.claim).map(|(token, _)| token);
            let (machine::Step::Create { host } | machine::Step::Delete { host, .. }) = step;
            let host = usize::from(number(host));
            if let (true, Some(token)) = (later, token) {
                let deadline = began.checked_add(Microvms::LANDING).expect("in range");
                self.hosts[host].flying.push(Flight { n, token, deadline });
            }
            self.doubted(host, began);
        }
        self.record(n, Outcome::transient("no reply"));
    }

    /// A call to the API server, under the precondition that the object is as the pass knows it.
    pub(in crate::explored) fn write(&mut self, n: usize, step: &Step, heard: bool) -> Outcome {
        let Some(running) = &mut self.slots[n].running else { return Outcome::Gone };
        let base = running.base.clone();
        if self.slots[n].api.as_ref() != Some(&base) {
            if *step == Step::Confirm && heard {
                self.heard(n, base.uid, self.slots[n].api.clone());
            }
            return Outcome::Gone;
        }
        let mut api = base;
        match step {
            Step::Claim(claim) => {
                api.claim = Some((number(&claim.token), usize::from(number(&claim.placement))));
                api.finalizer = true;
                if let (true, Some(running)) = (heard, &mut self.slots[n].running) {
                    running.known.grounds = Grounds::NothingMade;
                }
            }
            Step::Hold => api.finalizer = true,
            Step::Store(id) => {
                self.renamed |= api.provider_id.as_ref().is_some_and(|known| known != id);
                api.provider_id = Some(id.clone());
                api.current = api.status.conditions.is_empty();
            }
            Step::Tell(status) => {
                api.status = status.clone();
                api.current = true;
            }
            Step::Release { cost } => {
                self.let_go |= cost.is_some();
                api.finalizer = false;
            }
            Step::Confirm | Step::Make(_) | Step::Change(_) => (),
        }
        self.slots[n].api = Some(api.clone()).filter(|api| api.finalizer || !api.deleting);
        if heard {
            self.heard(n, api.uid, Some(api));
        }
        Outcome::Done
    }

    /// What the API server replied is taken in, unless it is of another object.
    pub(in crate::explored) fn heard(&mut self, n: usize, uid: u8, reply: Option<Api>) {
        let Some(reply) = reply.filter(|reply| reply.uid == uid) else { return };
        let slot = &mut self.slots[n];
        if let Some(known) = slot.store.as_mut().filter(|known| known.uid == uid) {
            known.clone_from(&reply);
        }
        if let Some(running) = &mut slot.running {
            running.base = reply;
        }
    }

    pub(in crate::explored) fn crash(&mut self) {
        self.since = self.stamp();
        for host in &mut self.hosts {
            (host.cache, host.sleep, host.call) = (Cache::default(), None, None);
        }
        for slot in &mut self.slots {
            (slot.known, slot.running, slot.queue) = (None, None, Some(NOW));
            slot.store.clone_from(&slot.api);
        }
    }

    /// What a host would show of these namespaces.
    pub(in crate::explored) fn listing(&self, host: usize, namespaces: &BTreeSet<String>) -> Result<Vec<(Name, Held)>, String> {
        let Host { up, vms, .. } = &self.hosts[host];
        let listed = vms.iter().map(|vm| (name(vm.n), held(vm))).filter(|(name, _)| namespaces.contains(&name.namespace));
        if *up { Ok(listed.collect()) } else { Err("refused".into()) }
    }

    /// The errand of a host's watch then, unless it is a listing that brings no news for ever: of these there is no end.
    pub(in crate::explored) fn errand(&self, h: usize, now: Timestamp) -> Errand {
        let host = &self.hosts[h];
        let errand = host.cache.errand(now);
        let Errand::List(namespaces) = &errand else { return errand };
        let (mut before, mut then) = (host.cache.clone(), host.cache.clone());
        let far = after(Duration::from_secs(3600));
        let woken = then.listed(namespaces.clone(), far, far, self.listing(h, namespaces));
        for cache in [&mut before, &mut then] {
            cache.rested(Timestamp::MAX);
            cache.times().for_each(|time| *time = NOW);
        }
        if woken.is_empty() && before == then { Errand::Rest(None) } else { errand }
    }

    pub(in crate::explored) fn awake(&self, h: usize) -> bool {
        let host = &self.hosts[h];
        host.call.is_none() && host.sleep.is_none_or(|until| until.is_some_and(|until| until <= NOW))
    }

    pub(in crate::explored) fn call(&mut self, h: usize) {
        if !self.awake(h) {
            return;
        }
        let began = self.stamp();
        let call = match self.errand(h, NOW) {
            Errand::Rest(_) => return,
            Errand::List(namespaces) => Call::List { namespaces, began, shown: None },
            Errand::Get(waiting) => Call::Get(waiting.into_iter().map(|(name, uid)| Get { name, uid, began, shown: None }).collect()),
        };
        let host = &mut self.hosts[h];
        (host.call, host.sleep) = (Some(call), None);
    }

    pub(in crate::explored) fn show(&mut self, h: usize, i: usize, fails: bool) {
        let listing = match &self.hosts[h].call {
            Some(Call::List { namespaces, shown: None, .. }) if fails => Err(format!("no reply about {}", namespaces.len())),
            Some(Call::List { namespaces, .. }) => self.listing(h, namespaces),
            _ => Ok(Vec::new()),
        };
        let Host { up, vms, call, .. } = &mut self.hosts[h];
        match call {
            Some(Call::List { shown: shown @ None, .. }) => *shown = Some(listing),
            Some(Call::Get(gets)) => {
                let answers = *up && !fails;
                if let Some(Get { name: of, uid: wanted, shown: shown @ None, .. }) = gets.get_mut(i) {
                    *shown = Some(if let Some(wanted) = wanted {
                        let there = vms.iter().find(|vm| uid(vm.uid) == *wanted);
                        let got = there.map_or(Got::Gone, |vm| Got::There(microvm(vm)));
                        Shown::Got(wanted.clone(), if answers { got } else { Got::Failed })
                    } else {
                        Shown::Found(answers.then(|| vms.iter().filter(|vm| name(vm.n) == *of).map(held).collect()))
                    });
                }
            }
            _ => (),
        }
    }

    pub(in crate::explored) fn end(&mut self, h: usize, i: usize) {
        let now = self.stamp();
        let host = &mut self.hosts[h];
        let woken = match host.call.take() {
            Some(Call::List { namespaces, began, shown: Some(shown) }) => {
                let began = if self.has.bug == Bug::ListingDatedByItsEnd { now } else { began };
                let concerned = host.cache.listed(namespaces, began, now, shown);
                if self.has.bug == Bug::ListingWakesNobody { Vec::new() } else { concerned }
            }
            Some(Call::Get(mut gets)) if gets.get(i).is_some_and(|get| get.shown.is_some()) => {
                let Get { name, began, shown, .. } = gets.remove(i);
                let concerned = shown.is_some_and(|shown| match shown {
                    Shown::Got(uid, got) => host.cache.got(&name, &uid, began, got),
                    Shown::Found(found) => host.cache.found(&name, began, found),
                });
                host.call = Some(Call::Get(gets)).filter(|call| *call != Call::Get(Vec::new()));
                if concerned && self.has.bug != Bug::GetWakesNobody { vec![name] } else { Vec::new() }
            }
            other => {
                host.call = other;
                return;
            }
        };
        woken.iter().for_each(|name| self.wake(index(name), now));
    }

    /// The next time at which something becomes due; `None` while something else must come first.
    pub(in crate::explored) fn due(&self) -> Option<Timestamp> {
        if self.slots.iter().any(|slot| slot.running.is_some() || slot.queue.is_some_and(|at| at <= NOW)) {
            return None;
        }
        let passes = self.slots.iter().filter_map(|slot| slot.queue);
        let watches = (0..self.hosts.len()).filter_map(|h| {
            let until = self.hosts[h].sleep.filter(|_| self.hosts[h].call.is_none())??;
            (self.errand(h, until.max(NOW)) != Errand::Rest(None)).then_some(until)
        });
        let due = passes.chain(watches).filter(|at| *at > NOW).min()?;
        // The bound that the provider states: by then nothing is on its way.
        let landed = self.hosts.iter().flat_map(|host| &host.flying).all(|flight| flight.deadline > due);
        landed.then_some(due)
    }

    pub(in crate::explored) fn settled(mut self) -> Self {
        self.settle();
        self
    }

    /// Watches with nothing to do go to sleep, and times are made comparable.
    pub(in crate::explored) fn settle(&mut self) {
        for queue in self.slots.iter_mut().filter_map(|slot| slot.queue.as_mut()).filter(|at| **at <= NOW) {
            *queue = Timestamp::MIN;
        }
        for h in 0..self.hosts.len() {
            if self.awake(h) {
                self.hosts[h].sleep = None;
            }
            self.hosts[h].cache.rested(NOW);
            if self.awake(h)
                && let Errand::Rest(until) = self.hosts[h].cache.errand(NOW)
            {
                self.hosts[h].sleep = Some(until);
            }
        }
        self.normalise();
    }
}
