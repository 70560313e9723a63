use std::collections::BTreeSet;

use super::*;
use crate::file::Base;

const FILE: &str = "
base: {debian: {suite: bookworm}}
packages: [socat, curl]
binaries:
  - {name: kubelet, version: v1, path: /usr/bin/kubelet, go: {module: m, package: p}}
  - {name: etcd, version: v3, go: {module: m, package: p}}
files: [{path: /etc/x, source: one/x}, {path: /etc/y, content: y}]
units: {enable: [kubelet.service]}
preload: archives
images:
  - {names: ['a.io/etcd:3'], files: [{binary: etcd, path: /etcd}]}
  - {names: ['a.io/pause:3'], files: [{root: /usr/bin/catatonit, path: /pause}]}
";

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn inputs() -> Inputs {
    Inputs {
        platform: Platform { os: "linux".into(), architecture: "amd64".into() },
        base: None,
        binaries: BTreeMap::from([("kubelet".into(), digest("kubelet")), ("etcd".into(), digest("etcd"))]),
        sources: BTreeMap::from([("one/x".into(), digest("x"))]),
    }
}

fn file(change: impl FnOnce(&mut ImageFile)) -> ImageFile {
    let mut file: ImageFile = yaml_serde::from_str(FILE).unwrap();
    change(&mut file);
    assert_eq!(file.problems(), []);
    file
}

/// Which steps have another key than before: `base`, `etcd`, `pause`, `overlay`, `preload`.
fn changed(change: impl FnOnce(&mut ImageFile), outside: impl FnOnce(&mut Inputs)) -> Vec<&'static str> {
    let mut others = inputs();
    outside(&mut others);
    let (before, after) = (plan(&file(|_| {}), &inputs()), plan(&file(change), &others));
    let names = ["base", "etcd", "pause", "overlay", "preload"];
    assert_eq!((before.steps.len(), after.steps.len()), (names.len(), names.len()));
    let keys = before.steps.iter().zip(&after.steps);
    names.into_iter().zip(keys).filter(|(_, (before, after))| before.key != after.key).map(|(name, _)| name).collect()
}

#[test]
fn steps_come_after_what_they_build_upon() {
    let plan = plan(&file(|_| {}), &inputs());
    let what: Vec<&str> = plan.steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "Debian bookworm with 2 packages",
            "the container image a.io/etcd:3",
            "the container image a.io/pause:3",
            "files, programs and units",
            "2 container images into the node",
        ]
    );
    assert_eq!(plan.steps.iter().map(|step| &step.key).collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(plan.epoch, DEFAULT_EPOCH);
}

#[test]
fn a_change_makes_anew_what_depends_on_it_and_nothing_else() {
    let all = ["base", "etcd", "pause", "overlay", "preload"];
    let nothing = |_: &mut ImageFile| {};
    let same = |_: &mut Inputs| {};
    assert_eq!(changed(nothing, same), [""; 0]);
    assert_eq!(changed(|file| file.packages.push("jq".into()), same), ["base", "pause", "overlay", "preload"]);
    assert_eq!(changed(|file| file.epoch = Some(1), same), all);
    assert_eq!(changed(nothing, |inputs| inputs.platform.architecture = "arm64".into()), all);
    assert_eq!(changed(nothing, |inputs| drop(inputs.binaries.insert("kubelet".into(), digest("other")))), ["overlay"]);
    assert_eq!(changed(nothing, |inputs| drop(inputs.binaries.insert("etcd".into(), digest("other")))), ["etcd", "preload"]);
    assert_eq!(changed(nothing, |inputs| drop(inputs.sources.insert("one/x".into(), digest("other")))), ["overlay"]);
    assert_eq!(changed(|file| file.files[1].content = Some("z".into()), same), ["overlay"]);
    assert_eq!(changed(|file| file.files[1].mode = "0600".into(), same), ["overlay"]);
    assert_eq!(changed(|file| file.units.mask.push("x.timer".into()), same), ["overlay"]);
    assert_eq!(changed(|file| file.images[0].entrypoint.push("/etcd".into()), same), ["etcd", "preload"]);
    assert_eq!(changed(|file| drop(file.labels.insert("a".into(), "b".into())), same), [""; 0]);
}

#[test]
fn how_a_file_is_written_says_nothing() {
    let same = |_: &mut Inputs| {};
    assert_eq!(changed(|file| file.packages.reverse(), same), [""; 0]);
    assert_eq!(changed(|file| file.files.reverse(), same), [""; 0]);
    assert_eq!(changed(|file| file.binaries.reverse(), same), [""; 0]);
    // The same content in another folder.
    let moved = changed(
        |file| file.files[0].source = Some("two/x".into()),
        |inputs| inputs.sources = BTreeMap::from([("two/x".into(), digest("x"))]),
    );
    assert_eq!(moved, [""; 0]);
}

#[test]
fn an_image_as_the_base_counts_by_its_digest() {
    let with = |base: &str| {
        let file = file(|file| {
            file.base = Some(Base { debian: None, image: Some("a.io/base:1".into()) });
            file.packages.clear();
        });
        plan(&file, &Inputs { base: Some(digest(base)), ..inputs() }).steps
    };
    let (one, two) = (with("one"), with("two"));
    assert_eq!(one[0].action, Action::Image { reference: "a.io/base:1".into() });
    let differ: Vec<bool> = one.iter().zip(&two).map(|(one, two)| one.key != two.key).collect();
    assert_eq!(differ, [true, false, true, true, true]);
}
