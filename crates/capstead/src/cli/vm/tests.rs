use clap::FromArgMatches;

use super::*;

fn parse(args: &[&str]) -> Result<Vm, clap::Error> {
    let command = Vm::augment_subcommands(clap::Command::new("vm"));
    let matches = command.try_get_matches_from([&["vm"], args].concat())?;
    Vm::from_arg_matches(&matches)
}

fn refused(args: &[&str]) -> String {
    parse(args).expect_err("refused").to_string()
}

#[test]
fn create_takes_a_name_and_what_it_is_made_of() {
    let args = ["create", "m1", "-n", "team", "--memory", "2G", "--network", "user", "--network", "tap:br0", "--label", "a=b=c", "--wait"];
    let Vm::Create(create) = parse(&args).expect("parsed") else { unreachable!("another command") };
    assert_eq!((create.name.as_deref(), create.namespace.as_deref(), create.memory), (Some("m1"), Some("team"), Some(2048)));
    assert_eq!((create.network.len(), create.timeout, create.wait), (2, Duration::from_secs(600), true));
    assert_eq!(create.label, [Pair { key: "a".into(), value: "b=c".into() }]);
    assert!(refused(&["create", "m1", "--vcpu", "65"]).contains("1..=64"));
    assert!(refused(&["create", "m1", "--wait", "--dry-run"]).contains("cannot be used with"));
    assert!(refused(&["create", "m1", "--tls-cert", "x"]).contains("--tls-key"));
}

#[test]
fn delete_wants_names_or_a_namespace() {
    assert!(refused(&["delete"]).contains("MICROVM"));
    assert!(refused(&["delete", "--all"]).contains("--namespace"));
    assert!(refused(&["delete", "m1", "--all", "-n", "team"]).contains("cannot be used with"));
    assert!(refused(&["delete", "m1", "--yes"]).contains("--all"));
    let Vm::Delete(delete) = parse(&["delete", "--all", "-n", "team", "--yes"]).expect("parsed") else { unreachable!("another command") };
    assert!(delete.all && delete.yes && delete.microvms.is_empty());
}

#[test]
fn what_is_behind_two_dashes_is_for_ssh() {
    let Vm::Ssh(ssh) = parse(&["ssh", "m1", "-l", "ubuntu", "--", "-v", "uname"]).expect("parsed") else { unreachable!("another command") };
    assert_eq!((ssh.user.as_str(), ssh.args), ("ubuntu", vec!["-v".into(), "uname".into()]));
}
