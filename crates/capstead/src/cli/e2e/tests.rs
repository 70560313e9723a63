use clap::Parser;

use super::*;
use crate::cli::Cli;
use crate::cli::Command;

fn parse(words: &[&str]) -> Result<E2e, String> {
    let words: Vec<OsString> = ["capstead", "e2e"].iter().chain(words).map(OsString::from).collect();
    match Cli::try_parse_from(from_go(words)).map_err(|error| error.to_string())?.command {
        Command::E2e(args) => Ok(*args),
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_are_spelled_as_go_does_and_as_others_do() {
    let hosts = ["1.2.3.4:9090", "5.6.7.8:9091"];
    let spellings: [&[&str]; 6] = [
        &["-e2e.flintlock-hosts", "1.2.3.4:9090,5.6.7.8:9091", "-e2e.skip-cleanup"],
        &["-e2e.flintlock-hosts=1.2.3.4:9090,5.6.7.8:9091", "-e2e.skip-cleanup=true"],
        &["--e2e.flintlock-hosts", "1.2.3.4:9090,5.6.7.8:9091", "--e2e.skip-cleanup"],
        &["--e2e.flintlock-hosts=1.2.3.4:9090,5.6.7.8:9091", "--e2e.skip-cleanup=1"],
        &["-e2e.flintlock-hosts=1.2.3.4:9090", "-e2e.flintlock-hosts=5.6.7.8:9091", "-e2e.skip-cleanup=T"],
        &["", "-e2e.skip-cleanup", "-e2e.flintlock-hosts", "1.2.3.4:9090,5.6.7.8:9091", ""],
    ];
    for words in spellings {
        let args = parse(words).unwrap();
        assert_eq!(
            (args.flintlock_hosts, args.skip_cleanup, args.use_flintlock_mock),
            (hosts.map(str::to_owned).into(), true, false),
            "{words:?}"
        );
    }
}

#[test]
fn every_option_of_upstream_is_known() {
    let words = [
        "-e2e.use-flintlock-mock",
        "-e2e.capmvm.vip-address=10.0.0.100",
        "-e2e.capmvm.kubernetes-version",
        "1.36.3",
        "-e2e.artefact-dir",
        "/tmp/a",
        "-e2e.config=c.yaml",
        "-e2e.existing-cluster=false",
        "-e2e.skip-cleanup=f",
    ];
    let args = parse(&words).unwrap();
    assert_eq!(args.vip_address.map(|vip| vip.to_string()).as_deref(), Some("10.0.0.100"));
    assert_eq!((args.kubernetes_version.as_deref(), args.artefact_dir.to_str()), (Some("1.36.3"), Some("/tmp/a")));
    assert_eq!((args.use_flintlock_mock, args.existing_cluster, args.skip_cleanup), (true, false, false));
    assert_eq!(args.config.as_deref().and_then(std::path::Path::to_str), Some("c.yaml"));
}

#[test]
fn what_is_misspelled_is_refused() {
    for (words, expected) in [
        (&["-e2e.flintlock-host", "a:1"][..], "unexpected argument '--e2e.flintlock-host'"),
        (&["-e2e.skip-cleanup=maybe"], "true or false is expected"),
        (&["-e2e.capmvm.vip-address=somewhere"], "invalid IP address"),
        (&["-e2e.existing-cluster", "--name", "a"], "cannot be used with"),
    ] {
        let error = parse(words).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
