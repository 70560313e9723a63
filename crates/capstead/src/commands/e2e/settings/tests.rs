use std::ffi::OsString;

use clap::Parser;

use super::*;
use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::e2e::from_go;

/// Words, the environment, and what is told.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

fn settings(words: &[&str], env: &[(&str, &str)]) -> Result<Settings, String> {
    let words: Vec<OsString> = ["capstead", "e2e"].iter().chain(words).map(OsString::from).collect();
    let Command::E2e(args) = Cli::try_parse_from(from_go(words)).unwrap().command else { panic!("another command") };
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Settings::new(&args, env).map_err(|error| format!("{error:#}"))
}

#[test]
fn hosts_are_given_or_simulated() {
    let given = |hosts: &[&str]| Hosts::Given(hosts.iter().map(|host| (*host).to_owned()).collect());
    let env = [("E2E_FLINTLOCK_HOSTS", "a:1,b:2"), ("E2E_FLINTLOCK_HOST", "127.0.0.9")];
    assert_eq!(settings(&["-e2e.flintlock-hosts", "a:1, b:2,"], &[]).unwrap().hosts, given(&["a:1", "b:2"]));
    assert_eq!(settings(&[], &env).unwrap().hosts, given(&["a:1", "b:2"]));
    assert_eq!(settings(&["-e2e.flintlock-hosts=c:3"], &env).unwrap().hosts, given(&["c:3"]), "options win");
    let simulated = settings(&["-e2e.use-flintlock-mock"], &env).unwrap();
    assert_eq!(
        simulated.hosts,
        Hosts::Simulated { count: 3, address: "127.0.0.9".parse().unwrap() },
        "asked for, they win over the environment"
    );
    assert_eq!(simulated.wish, Wish { control_plane: 1, workers: 2, answers: false, upgrade: None, replaces: false });
    assert_eq!(settings(&[], &env).unwrap().wish, Wish { control_plane: 1, workers: 1, answers: true, upgrade: None, replaces: false });
}

#[test]
fn what_cannot_be_is_said_before_anything_is_begun() {
    let cases: [Case<'_>; 6] = [
        (&[], &[("E2E_FLINTLOCK_HOSTS", "")], "no hosts: give addresses with -e2e.flintlock-hosts"),
        (&["-e2e.flintlock-hosts=a"], &[], "-e2e.flintlock-hosts: a"),
        (&["-e2e.flintlock-hosts=a:1,a:1"], &[], "a:1 stands twice"),
        (&["-e2e.flintlock-hosts=a:1", "-e2e.use-flintlock-mock"], &[], "give one of them"),
        (&["-e2e.use-flintlock-mock"], &[("E2E_FLINTLOCK_HOST", "10.0.0.1:9")], "E2E_FLINTLOCK_HOST=10.0.0.1:9: an IP address"),
        (
            &["-e2e.use-flintlock-mock", "-e2e.capmvm.kubernetes-version=1.23.10"],
            &[],
            "v1.23.10 is too old: Cluster API supports v1.31.0 at least",
        ),
    ];
    for (words, env, expected) in cases {
        let error = settings(words, env).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_configuration_is_read_strictly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e2e.yaml");
    let option = format!("-e2e.config={}", file.display());
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        settings(&["-e2e.use-flintlock-mock", &option], &[])
    };
    let settings = read("mockHosts: 2\nworkers: 4\nimages: [a]\nintervals:\n  default/wait-control-plane: [\"25m\", \"10s\"]\n").unwrap();
    assert_eq!((settings.wish.workers, settings.warnings), (4, vec!["the configuration's images is not used".to_owned()]));
    let versions = read("flows: [{name: a, apiVersion: v1alpha2, upgradeFrom: 1.35.4}]\nmockHosts: 2\n").unwrap().versions();
    assert!(versions.len() == 2 && versions.contains("v1.35.4"), "{versions:?}");
    assert_eq!(read("# nothing\n").unwrap().config, Config::default());
    for (text, expected) in [
        ("mockHost: 2\n", "is not a configuration of the suite"),
        ("mockHosts: 0\n", "mockHosts: 1 to 100 are expected"),
        ("flows: [{name: a, apiVersion: v1alpha2, upgradeFrom: '1.22'}]\n", "flows[0].upgradeFrom"),
        ("flows: [{name: a, apiVersion: v1alpha2, upgradeFrom: v1.99.0}]\n", "the flow a: upgradeFrom v1.99.0 is not older than v1."),
        ("mockHosts: 9\nworkers: 2\n", "9 hosts are given, and only 3 machines are asked for"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let error = self::settings(&["-e2e.use-flintlock-mock", "-e2e.config=/nowhere.yaml"], &[]).unwrap_err();
    assert!(error.contains("-e2e.config: cannot read /nowhere.yaml"), "{error}");
}

#[test]
fn addresses_and_limits_have_defaults() {
    let given = |words: &[&str]| settings(&[&["-e2e.flintlock-hosts=a:1"], words].concat(), &[]).unwrap();
    assert_eq!(given(&[]).vip, Some(VIP));
    assert_eq!(given(&["-e2e.capmvm.vip-address=10.0.0.9"]).vip, "10.0.0.9".parse().ok());
    assert_eq!(given(&[]).limit("v1alpha1", "workers"), LIMIT);
    assert_eq!(given(&["--timeout=90s"]).limit("v1alpha1", "workers"), Duration::from_secs(90));
    assert!(given(&[]).version.starts_with("v1."));
    let simulated = settings(&["-e2e.use-flintlock-mock", "-e2e.capmvm.vip-address=10.0.0.9"], &[]).unwrap();
    assert_eq!((simulated.vip, simulated.warnings.len()), (None, 1), "the simulated hosts bring their own");
}
