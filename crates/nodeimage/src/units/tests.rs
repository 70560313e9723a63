use std::collections::BTreeMap;

use super::*;

fn run(units: &Units, files: &[(&str, &str)]) -> Result<Vec<Change>, UnitError> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let text = |path: &str| files.get(path).map(|text| (*text).to_owned());
    let names = |folder: &str| {
        let inside = |path: &&str| {
            path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).map(|rest| rest.split('/').next().unwrap().to_owned())
        };
        let mut names: Vec<String> = files.keys().filter_map(inside).collect();
        names.dedup();
        names
    };
    changes(units, text, names)
}

fn units(enable: &[&str], disable: &[&str], mask: &[&str]) -> Units {
    let list = |units: &[&str]| units.iter().map(|unit| (*unit).to_owned()).collect();
    Units { enable: list(enable), disable: list(disable), mask: list(mask) }
}

fn link(path: &str, target: &str) -> Change {
    Change::Link(format!("etc/systemd/system/{path}"), target.to_owned())
}

#[test]
fn enabling_follows_the_install_section() {
    let text =
        "[Unit]\nWantedBy=nobody.target\n[Install]\nWantedBy=multi-user.target\nRequiredBy = a.target b.target\nAlias=other.service\n";
    let target = "/usr/lib/systemd/system/x.service";
    assert_eq!(
        run(&units(&["x.service"], &[], &[]), &[("usr/lib/systemd/system/x.service", text)]).unwrap(),
        [
            link("multi-user.target.wants/x.service", target),
            link("a.target.requires/x.service", target),
            link("b.target.requires/x.service", target),
            link("other.service", target),
        ]
    );
}

#[test]
fn ones_own_unit_comes_before_the_systems_and_instances_come_from_templates() {
    let (old, new) = ("[Install]\nWantedBy=old.target\n", "[Install]\nWantedBy=new.target\n");
    let files = [("lib/systemd/system/x.service", old), ("etc/systemd/system/x.service", new), ("lib/systemd/system/getty@.service", old)];
    assert_eq!(
        run(&units(&["x.service"], &[], &[]), &files).unwrap(),
        [link("new.target.wants/x.service", "/etc/systemd/system/x.service")]
    );
    assert_eq!(
        run(&units(&["getty@tty1.service"], &[], &[]), &files).unwrap(),
        [link("old.target.wants/getty@tty1.service", "/lib/systemd/system/getty@.service")]
    );
}

#[test]
fn what_goes_with_a_unit_is_enabled_too_unless_it_is_unwanted() {
    let target = |name: &str| format!("/lib/systemd/system/{name}");
    let files = [
        ("lib/systemd/system/net.service", "[Install]\nWantedBy=a.target\nAlso=net.socket wait.service missing.service\n"),
        ("lib/systemd/system/net.socket", "[Install]\nWantedBy=sockets.target\nAlso=net.service\n"),
        ("lib/systemd/system/wait.service", "[Install]\nWantedBy=b.target\n"),
    ];
    assert_eq!(
        run(&units(&["net.service"], &[], &["wait.service"]), &files).unwrap(),
        [
            link("a.target.wants/net.service", &target("net.service")),
            link("sockets.target.wants/net.socket", &target("net.socket")),
            link("wait.service", "/dev/null"),
        ]
    );
}

#[test]
fn masking_and_disabling() {
    let files = [("etc/systemd/system/timers.target.wants/apt.timer", ""), ("etc/systemd/system/x.target.requires/apt.timer", "")];
    let changes = run(&units(&[], &["apt.timer"], &["getty@tty1.service"]), &files).unwrap();
    let remove = |path: &str| Change::Remove(format!("etc/systemd/system/{path}"));
    assert_eq!(
        changes,
        [remove("timers.target.wants/apt.timer"), remove("x.target.requires/apt.timer"), link("getty@tty1.service", "/dev/null")]
    );
}

#[test]
fn what_cannot_be_enabled_is_said() {
    let not_found = Err(UnitError::NotFound { unit: "x.service".into() });
    assert_eq!(run(&units(&["x.service"], &[], &[]), &[]), not_found);
    let files = [("lib/systemd/system/x.service", "[Service]\nExecStart=/x\n")];
    assert_eq!(run(&units(&["x.service"], &[], &[]), &files), Err(UnitError::NoInstall { unit: "x.service".into() }));
}
