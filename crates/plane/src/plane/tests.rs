use super::*;

fn layout(dir: &tempfile::TempDir, name: &str) -> Layout {
    Layout::new(dir.path(), name).expect("a good name")
}

#[test]
fn a_plane_keeps_its_identity_and_ports() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let plane = Plane::make(&layout(&dir, "a"), Options::default()).expect("made");
    assert_eq!(Plane::load(&layout(&dir, "a")).expect("there"), plane);
    let again = Plane::make(&layout(&dir, "a"), Options { ephemeral: true, ..Options::default() }).expect("made again");
    assert_eq!((&again.id, &again.ports), (&plane.id, &plane.ports));
    assert!(again.options.ephemeral);
    let other = Plane::make(&layout(&dir, "b"), Options::default()).expect("made");
    let numbers = |plane: &Plane| plane.ports.values().flat_map(|ports| ports.values().copied()).collect::<BTreeSet<u16>>();
    assert!(numbers(&plane).is_disjoint(&numbers(&other)), "planes that are down own their ports too");
    assert_ne!(plane.id, other.id);
}

#[test]
fn components_for_deployments_come_and_go_and_keep_their_ports() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let layout = layout(&dir, "a");
    let options = Options { deployments: true, ..Options::default() };
    let plane = Plane::make(&layout, options.clone()).expect("made");
    let kinds = plane.components.iter().filter_map(|component| component.objects.as_deref());
    assert!(kinds.into_iter().any(|objects| objects == builtin::CERTIFICATES));
    let component = |name: &str| Component { name: name.into(), objects: None, provider: None, ..plane.components[3].clone() };
    let (one, two) = (component("one"), component("two"));
    let with_one = plane.deploy(&layout, vec![one.clone()]).expect("deployed");
    let with_both = with_one.deploy(&layout, vec![one.clone(), two.clone()]).expect("deployed");
    assert_eq!(with_both.ports["one"], with_one.ports["one"]);
    let numbers: Vec<u16> = with_both.ports.values().flat_map(|ports| ports.values().copied()).collect();
    assert_eq!(numbers.len(), numbers.iter().collect::<BTreeSet<_>>().len(), "{numbers:?}");
    // It is so when the plane comes up again, unless it should run none.
    let again = Plane::make(&layout, options).expect("made again");
    assert_eq!((&again.ports, again.deployed().collect::<Vec<_>>()), (&with_both.ports, vec![&one, &two]));
    let left = again.deploy(&layout, vec![two]).expect("deployed");
    assert_eq!((left.deployed().count(), left.ports.contains_key("one")), (1, false));
    assert_eq!(Plane::load(&layout).expect("there"), left);
    let none = Plane::make(&layout, Options::default()).expect("made without");
    assert_eq!(none.components.len(), 6);
}

#[test]
fn components_come_after_what_they_need() {
    let names: Vec<String> = Options::default().components().expect("built in").into_iter().map(|component| component.name).collect();
    let expected =
        ["etcd", "kube-apiserver", "kube-controller-manager", "capi-core", "capi-bootstrap-kubeadm", "capi-control-plane-kubeadm"];
    assert_eq!(names, expected);
}

#[test]
fn options_that_do_not_fit_are_told() {
    let error = |without: &[&str]| {
        let without = without.iter().map(|name| (*name).to_owned()).collect();
        Options { without, ..Options::default() }.components().map(|all| all.len()).map_err(|error| error.to_string())
    };
    assert_eq!(error(&["capi-core", "capi-bootstrap-kubeadm", "capi-control-plane-kubeadm"]), Ok(3));
    assert!(error(&["etcd"]).expect_err("needed").starts_with("kube-apiserver needs etcd, which is not part of the plane"));
    assert!(
        error(&["capi"]).expect_err("unknown").starts_with("--without capi: there is no such component; there are etcd, kube-apiserver")
    );
}

#[test]
fn a_file_adds_a_component() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("mine.yaml");
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    let load = || Options { components: vec![path.clone()], ..Options::default() }.components();
    write(
        "{name: mine, title: Mine, after: [kube-apiserver], binary: {name: mine, version: v1}, ready: {url: 'http://127.0.0.1:1/'}, objects: mine/all.yaml}",
    );
    let all = load().expect("loaded");
    assert_eq!(all[6].objects.as_deref(), dir.path().join("mine/all.yaml").to_str(), "relative to its file");
    write("{name: mine, title: Mine, binary: {name: mine, version: v1}, ready: {url: x}, webhookPort: hook}");
    assert!(load().expect_err("refused").to_string().contains("webhookPort: names the port \"hook\", which is not under ports"));
    write("{name: mine, titel: Mine}");
    assert!(load().expect_err("refused").to_string().ends_with("mine.yaml is not a component file"));
    write("{name: etcd, title: Mine, binary: {name: mine, version: v1}, ready: {url: x}}");
    assert_eq!(load().expect_err("refused").to_string(), "two components are named \"etcd\"");
    write("{name: mine, title: Mine, after: [mine], binary: {name: mine, version: v1}, ready: {url: x}}");
    assert_eq!(load().expect_err("refused").to_string(), "mine need one another in a circle");
}

#[test]
fn files_that_cannot_be_used_are_told() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let layout = layout(&dir, "a");
    assert!(matches!(Plane::load(&layout), Err(PlaneError::NotFound(_))));
    Plane::make(&layout, Options::default()).expect("made");
    let text = std::fs::read_to_string(layout.plane_file()).expect("there");
    std::fs::write(layout.plane_file(), &text[..text.len() / 2]).expect("written");
    assert!(matches!(Plane::load(&layout), Err(PlaneError::Damaged { .. })));
    std::fs::write(layout.plane_file(), text.replace("\"format\": 1", "\"format\": 9")).expect("written");
    assert!(matches!(Plane::load(&layout), Err(PlaneError::Format { format: 9, .. })));
}

#[test]
fn what_is_not_said_stays_as_the_plane_has_it() {
    let kept = Options { ephemeral: true, capi_version: Some("1.13".into()), ..Options::default() };
    assert_eq!(Choices::default().over(kept.clone()), kept);
    let said = Choices { ephemeral: Some(false), without: Some(vec!["capi-core".into()]), ..Choices::default() };
    assert_eq!(said.over(kept.clone()), Options { ephemeral: false, without: vec!["capi-core".into()], ..kept });
}

#[test]
fn mirrors_are_checked() {
    let fetch = |mirrors: &str| Options { registry_mirrors: mirrors.into(), ..Options::default() }.fetch();
    assert!(fetch("registry.k8s.io=http://127.0.0.1:5000").is_ok());
    assert!(matches!(fetch("nonsense"), Err(PlaneError::Mirrors(_))));
}
