//! Whatever is seen, the plan is there and keeps the promises.

use proptest::option;
use proptest::prelude::*;

use super::*;

fn blocks() -> impl Strategy<Value = Blocked> {
    Just(blocked())
}

fn plans() -> impl Strategy<Value = Plan<u8>> {
    (prop::collection::vec(prop_oneof![0..3_u8, 10..12_u8], 0..3), any::<bool>()).prop_map(|(steps, waits)| {
        let plan = steps.into_iter().fold(Plan::settled(), Plan::then);
        if waits { plan.waiting("it", "takes time") } else { plan }
    })
}

fn ids() -> impl Strategy<Value = Option<ProviderId>> {
    option::of(prop_oneof![Just(id("x://1")), Just(id("x://2"))])
}

fn finds() -> impl Strategy<Value = Found> {
    (ids(), any::<bool>(), option::of(Just("broken".to_owned()))).prop_map(|(provider_id, provisioned, failed)| Found {
        provider_id,
        provisioned,
        failed,
        ..Found::default()
    })
}

fn answers() -> impl Strategy<Value = Answers> {
    let place = prop_oneof![Just(Ok("a".to_owned())), blocks().prop_map(Err)];
    let present = prop_oneof![
        plans().prop_map(Present::Nothing),
        (finds(), plans()).prop_map(|(found, plan)| Present::Something(found, plan)),
        blocks().prop_map(Present::Unknown),
    ];
    let gone =
        plans().prop_map(|plan| Absent::Something(Plan { steps: plan.steps.into_iter().filter(|step| *step >= 10).collect(), ..plan }));
    let absent = prop_oneof![Just(Absent::Nothing), gone, blocks().prop_map(Absent::Unknown)];
    (place, present, absent).prop_map(|(place, present, absent)| Answers { place, present, absent })
}

fn owners() -> impl Strategy<Value = Referred<Owner>> {
    prop_oneof![
         1 => Just(Referred::NotSet),
         1 => Just(Referred::Missing { name: "m".into() }),
         1 => Just(owner(Bootstrap::NotSet)),
         1 => Just(owner(Bootstrap::Missing { secret: "b".into() })),
         1 => Just(owner(Bootstrap::WithoutValue { secret: "b".into() })),
        3 => Just(owner(Bootstrap::Ready)),
    ]
}

fn clusters() -> impl Strategy<Value = Referred<Cluster>> {
    prop_oneof![
         1 => Just(Referred::NotSet),
         1 => Just(Referred::Missing { name: "c".into() }),
        3 => (prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(paused, infrastructure_provisioned)| Referred::Found(Cluster { paused, infrastructure_provisioned })),
    ]
}

fn seen() -> impl Strategy<Value = Seen> {
    let flags = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        any::<bool>(),
        any::<bool>(),
    );
    let told = prop_oneof![
        Just(Status::default()),
        Just(whole().status),
        Just(Status { conditions: vec![Report::paused(true)], ..whole().status })
    ];
    let grounds =
        prop_oneof![Just(Grounds::NothingMade), Just(Grounds::After(BEFORE)), Just(Grounds::After(SINCE)), Just(Grounds::After(NOW))];
    let looked = option::of(prop_oneof![Just(BEFORE), Just(SINCE), Just(NOW)]);
    let failure = option::of(Just(Failure { cause: "refused".into() }));
    ((flags, ids(), told, any::<bool>()), (owners(), clusters()), (grounds, looked, failure), answers()).prop_map(
        |((flags, provider_id, status, status_current), (owner, cluster), (grounds, looked, failure), outside)| {
            let (deleting, finalizer, watched, externally_managed, paused, forced, claimed) = flags;
            let claim = claimed.then(|| Claim { token: "u1".into(), placement: "a".into() });
            let object = Object { deleting, finalizer, watched, externally_managed, paused, forced, claim, ..new().object };
            Observed { object, provider_id, status, status_current, owner, cluster, grounds, looked, failure, outside }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_plan_is_total_and_safe(seen in seen()) {
        let plan = plan(&seen);
        let steps = &plan.steps;
        let stored = seen.object.claim.is_some();
        let untouched = !seen.object.watched || seen.object.externally_managed;
        prop_assert!(!untouched || steps.is_empty());

        for (n, step) in steps.iter().enumerate() {
            match step {
                Step::Make(_) => {
                    let before = &steps[..n];
                    let claims = before.iter().any(|step| matches!(step, Step::Claim(_)));
                    prop_assert!(claims || stored, "claim first: {steps:?}");
                    prop_assert!(seen.object.finalizer || claims || before.contains(&Step::Hold), "finalizer first: {steps:?}");
                    prop_assert!(claims || seen.grounds.cover(seen.looked), "no grounds: {steps:?}");
                    prop_assert!(!matches!(before.first(), None | Some(Step::Make(_) | Step::Change(_))), "unconfirmed: {steps:?}");
                    prop_assert!(!seen.object.deleting && !seen.object.paused && seen.owner == owner(Bootstrap::Ready), "{steps:?}");
                }
                Step::Claim(_) => prop_assert!(!stored && seen.provider_id.is_none() && n == 0, "{steps:?}"),
                Step::Store(_) => prop_assert!(seen.provider_id.is_none(), "a providerID changes: {steps:?}"),
                Step::Tell(status) => {
                    prop_assert!(*status != seen.status || !seen.status_current, "a write without news: {steps:?}");
                    prop_assert!(status.provisioned || !seen.status.provisioned, "provisioned is taken back: {steps:?}");
                    prop_assert!(status.conditions.is_sorted_by(|a, b| a.type_ < b.type_), "{status:?}");
                }
                Step::Release { cost } => {
                    prop_assert!(seen.object.deleting && n + 1 == steps.len(), "{steps:?}");
                    prop_assert!(cost.is_none() || seen.object.forced);
                    prop_assert!(cost.is_some() || !stored || seen.grounds.cover(seen.looked), "no grounds: {steps:?}");
                }
                Step::Hold | Step::Confirm | Step::Change(_) => (),
            }
        }
        // Whoever deletes always learns what it waits for, if it does not end.
        if seen.object.deleting && seen.object.finalizer && !untouched && !seen.object.paused && !matches!(seen.cluster, Referred::Found(Cluster { paused: true, .. })) {
            prop_assert!(!steps.is_empty() || !plan.waits.is_empty());
        }
    }

    #[test]
    fn telling_is_done_once(seen in seen()) {
        let mut after = seen;
        let told = plan(&after).steps.into_iter().find_map(|step| if let Step::Tell(status) = step { Some(status) } else { None });
        if let Some(status) = told {
            (after.status, after.status_current) = (status, true);
            prop_assert!(!plan(&after).steps.iter().any(|step| matches!(step, Step::Tell(_))), "told again: {:?}", plan(&after).steps);
        }
    }
}
