use super::*;

fn name(n: usize) -> Name {
    Name::new("team", format!("m-{n}"))
}

fn who(name: &Name, control_plane: bool) -> Who<'_> {
    Who { name, cluster: "one", control_plane }
}

type Loads<'a> = &'a dyn Fn(&str) -> Load;

/// Chooses the host with fewest machines of at most so many.
fn fewest(most: usize) -> impl FnOnce(Loads<'_>) -> Result<String, Blocked> {
    move |load| {
        let free = ["a:1", "b:1"].into_iter().filter(|host| load(host).machines < most);
        free.min_by_key(|host| load(host).machines).map(str::to_owned).ok_or_else(|| Blocked::new("NoHost", "the pool", "is full"))
    }
}

#[test]
fn machines_that_come_at_once_do_not_all_choose_the_same_host() {
    let placed = Placed::default();
    let hosts: Vec<String> = (0..4).map(|n| placed.book(who(&name(n), false), |_| false, fewest(9)).unwrap()).collect();
    assert_eq!(hosts, ["a:1", "b:1", "a:1", "b:1"]);
    assert_eq!(placed.book(who(&name(3), false), |_| false, fewest(9)).as_deref(), Ok("b:1"), "its own booking does not count against it");
}

#[test]
fn loads_count_all_machines_and_the_clusters_own_control_planes() {
    let placed = Placed::default();
    placed.is_at(who(&name(1), true), "a:1");
    placed.is_at(who(&name(2), false), "a:1");
    placed.is_at(Who { cluster: "two", ..who(&name(3), true) }, "a:1");
    let seen = |who: Who<'_>| {
        let mut seen = Load::default();
        let _ = placed.book(
            who,
            |host| host == "a:1",
            |load| {
                seen = load("a:1");
                Err(Blocked::new("NoHost", "nothing", "is chosen"))
            },
        );
        seen
    };
    assert_eq!(seen(who(&name(9), true)), Load { machines: 3, control_planes: 1, down: true });
    let elsewhere = Name::new("other", "m-9");
    assert_eq!(seen(who(&elsewhere, true)).control_planes, 0, "a cluster of that name in another namespace is another cluster");
}

#[test]
fn who_found_every_host_full_is_woken_when_a_machine_goes() {
    let placed = Placed::default();
    for n in 0..2 {
        placed.book(who(&name(n), false), |_| false, fewest(1)).unwrap();
    }
    assert!(placed.book(who(&name(2), false), |_| false, fewest(1)).is_err());
    assert_eq!(placed.forget(&name(7)), BTreeSet::new(), "nobody that was anywhere");
    assert_eq!(placed.forget(&name(0)), BTreeSet::from([name(2)]));
    assert_eq!(placed.book(who(&name(2), false), |_| false, fewest(1)).as_deref(), Ok("a:1"));
    assert_eq!(placed.forget(&name(1)), BTreeSet::new());
}
