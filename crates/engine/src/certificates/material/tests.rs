use std::collections::BTreeSet;
use std::time::Duration;

use capstead_reconcile::Timestamp;

use super::Certificate;
use super::Key;
use super::Lifetimes;
use super::Material;
use super::Step;
use super::Wish;
use super::advance;
use super::apply;
use super::plan;

fn wish() -> Wish {
    let names: BTreeSet<String> = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()].into();
    let s = Duration::from_secs;
    Wish { names, lifetimes: Lifetimes { authority: s(9000), leaf: s(900), settle: s(60) } }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A certificate that was never made; only what it says matters.
fn said(subject: &str, issuer: &str, since: i64, until: i64) -> Certificate {
    let (subject, issuer) = (subject.to_owned(), issuer.to_owned());
    Certificate { pem: format!("{subject}\n"), subject, issuer, names: wish().names, since: at(since), until: at(until) }
}

fn material(authorities: &[(&str, i64, i64)], leaf: Option<(&str, i64, i64)>) -> Material {
    Material {
        authorities: authorities.iter().map(|(name, since, until)| said(name, name, *since, *until)).collect(),
        authority_key: Key("key".into()),
        leaf: leaf.map(|(issuer, since, until)| (said("leaf", issuer, since, until), Key("key".into()))),
    }
}

#[test]
fn what_is_due_follows_from_the_dates() {
    use Step::DropAuthority;
    use Step::NewAuthority;
    use Step::NewLeaf;
    let drop_a = || DropAuthority("a".into());
    let a = ("a", 0, 9000);
    let b = ("b", 6000, 15_000);
    let cases = [
        ("nothing yet", material(&[], None), 0, vec![NewAuthority, NewLeaf], None),
        ("an authority only", material(&[a], None), 1, vec![NewLeaf], None),
        ("all well", material(&[a], Some(("a", 0, 900))), 599, vec![], Some(600)),
        ("leaf at two thirds", material(&[a], Some(("a", 0, 900))), 600, vec![NewLeaf], None),
        ("authority at two thirds", material(&[a], Some(("a", 5900, 6800))), 6000, vec![NewAuthority], None),
        ("the new authority is not known yet", material(&[b, a], Some(("a", 5900, 6800))), 6059, vec![], Some(6060)),
        ("the new authority is known", material(&[b, a], Some(("a", 5900, 6800))), 6060, vec![NewLeaf], None),
        ("replicas may serve the old leaf", material(&[b, a], Some(("b", 6060, 6960))), 6119, vec![], Some(6120)),
        ("nobody serves the old leaf", material(&[b, a], Some(("b", 6060, 6960))), 6120, vec![drop_a()], None),
        ("the leaf's issuer is not trusted", material(&[b], Some(("a", 5900, 6800))), 6001, vec![NewLeaf], None),
        ("an expired leaf cannot wait", material(&[b, a], Some(("a", 5000, 5900))), 6001, vec![NewLeaf], None),
        ("asleep until all expired", material(&[a], Some(("a", 0, 900))), 20_000, vec![NewAuthority, NewLeaf], None),
    ];
    for (name, observed, now, steps, again) in cases {
        let plan = plan(&wish(), &observed, at(now));
        assert_eq!(plan.steps, steps, "{name}");
        if let Some(again) = again {
            assert_eq!(plan.again, Some(at(again)), "{name}");
        }
    }
}

#[test]
fn a_lost_key_and_other_names_are_made_good() {
    let mut lost = material(&[("a", 0, 9000)], Some(("a", 0, 900)));
    lost.authority_key = Key::default();
    assert_eq!(plan(&wish(), &lost, at(1)).steps, [Step::NewAuthority], "the leaf is still good");
    let mut other = wish();
    other.names.insert("thing.default.svc".into());
    assert_eq!(plan(&other, &material(&[("a", 0, 9000)], Some(("a", 0, 900))), at(1)).steps, [Step::NewLeaf]);
}

#[test]
fn what_is_made_says_what_was_asked() {
    let (made, again) = advance(&wish(), Material::default(), at(0)).unwrap();
    let (leaf, _) = made.leaf.clone().unwrap();
    assert_eq!(leaf.names, wish().names);
    assert_eq!((leaf.since, leaf.until), (at(0), at(900)));
    assert_eq!(leaf.issuer, made.authorities[0].subject);
    assert_eq!(again, Some(at(600)));
    assert_eq!(Certificate::parse_all(&made.bundle()).unwrap(), made.authorities);
    assert!(!format!("{made:?}").contains("PRIVATE"), "keys are not printed");
}

#[test]
fn over_years_clients_that_lag_by_the_settling_time_always_trust_the_leaf() {
    let wish = wish();
    let mut material = Material::default();
    // Bundles as they were, oldest first; clients and replicas may lag by up to the settling time.
    let mut history: Vec<(i64, Material)> = Vec::new();
    let (mut authorities, mut leaves) = (BTreeSet::new(), BTreeSet::new());
    let mut now = 0;
    while now < 40_000 {
        let (next, again) = advance(&wish, material, at(now)).unwrap();
        material = next;
        history.push((now, material.clone()));
        let (leaf, _) = material.leaf.clone().unwrap();
        assert!(leaf.until > at(now));
        leaves.insert(leaf.pem);
        authorities.extend(material.authorities.iter().map(|authority| authority.subject.clone()));
        assert!(material.authorities.len() <= 2);
        let seen: Vec<_> = history.iter().rev().take_while(|(time, _)| *time > now - 60).map(|(_, seen)| seen).collect();
        for client in &seen {
            for replica in &seen {
                let issuer = &replica.leaf.as_ref().unwrap().0.issuer;
                assert!(client.authorities.iter().any(|authority| authority.subject == *issuer), "at {now}");
            }
        }
        let next = again.unwrap().duration_since(at(0)).as_secs();
        assert!(next > now, "looking again at once at {now}");
        now = next;
    }
    assert!(authorities.len() >= 5 && leaves.len() > 50, "{} authorities, {} leaves", authorities.len(), leaves.len());
}

#[test]
fn a_leaf_never_outlives_its_authority() {
    let (mut made, _) = advance(&wish(), Material::default(), at(0)).unwrap();
    made = apply(&wish(), made, &Step::NewLeaf, at(8500)).unwrap();
    assert_eq!(made.leaf.unwrap().0.until, at(9000));
}
