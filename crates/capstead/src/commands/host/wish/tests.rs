use capstead_preflight::Network;
use capstead_preflight::Runtime;
use capstead_preflight::Wish;
use capstead_preflight::wish::Packages;
use clap::Parser;

use super::wish;
use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::host::Host;

fn wished(words: &[&str]) -> anyhow::Result<Wish> {
    let cli = Cli::try_parse_from([&["capstead", "host", "check"], words].concat())?;
    let Command::Host(Host::Check(args)) = cli.command else { panic!("{cli:?}") };
    wish(&args.wish)
}

fn told(words: &[&str]) -> String {
    format!("{:#}", wished(words).unwrap_err())
}

#[test]
fn without_flags_it_is_the_usual_host() {
    assert_eq!(wished(&[]).unwrap(), Wish::default());
}

#[test]
fn each_flag_says_what_it_is_called() {
    let words = "--runtime flintlock --network bridge --bridge-name br0 --parent-iface eth1 --subnet 10.1.0.0/16 --dhcp --nat-via eth0 --vip 10.1.0.5 \
                 --grpc-endpoint 10.0.0.5:9091 --daemon /opt/flintlockd --state-dir /srv/flintlock --images a/b:1,a/c:2 --images a/d:3 --registries ghcr.io \
                 --packages /root/debs";
    let expected = Wish {
        runtime: Runtime::Flintlock,
        network: Network::Bridge,
        bridge_name: "br0".into(),
        parent_iface: Some("eth1".into()),
        subnet: "10.1.0.0/16".parse().ok(),
        dhcp: true,
        nat_via: Some("eth0".into()),
        vip: "10.1.0.5".parse().ok(),
        grpc_endpoint: "10.0.0.5:9091".into(),
        daemon: Some("/opt/flintlockd".into()),
        state_dir: "/srv/flintlock".into(),
        images: vec!["a/b:1".into(), "a/c:2".into(), "a/d:3".into()],
        registries: vec!["ghcr.io".into()],
        packages: Packages::Folder("/root/debs".into()),
        ..Wish::default()
    };
    assert_eq!(wished(&words.split_whitespace().collect::<Vec<_>>()).unwrap(), expected);
}

#[test]
fn a_flag_comes_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.yaml");
    let file = path.to_str().unwrap();
    std::fs::write(
        &path,
        "network: bridge\nbridge-name: br1\nsubnet: 10.42.0.0/24\ndhcp: true\npackages: none\ncontainerd:\n  pool-gib: 5\n",
    )
    .unwrap();
    let wish = wished(&["--config", file, "--bridge-name", "br2", "--dhcp=false"]).unwrap();
    assert_eq!((wish.network, &*wish.bridge_name, wish.dhcp), (Network::Bridge, "br2", false));
    assert_eq!((wish.packages, wish.containerd.pool_gib), (Packages::None, 5));
    std::fs::write(&path, "# nothing yet\n").unwrap();
    assert_eq!(wished(&["--config", file]).unwrap(), Wish::default());
}

#[test]
fn what_cannot_be_meant_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.yaml");
    let file = path.to_str().unwrap();
    assert!(told(&["--config", file]).contains("--config: cannot read"), "{}", told(&["--config", file]));
    std::fs::write(&path, "bridge: br0\n").unwrap();
    let error = told(&["--config", file]);
    assert!(error.contains("host.yaml") && error.contains("unknown field `bridge`"), "{error}");
    std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
    assert!(told(&["--config", file]).contains("more than 1048576 bytes"));
    assert!(told(&["--bridge-name", "br0"]).contains("--bridge-name: there is a bridge with --network bridge only"));
    assert!(told(&["--parent-iface", "eth0"]).contains("--parent-iface: it takes"));
    assert!(told(&["--packages", "debs"]).contains("not from \"debs\""));
    assert!(told(&["--subnet", "10.0.0.0"]).contains("--subnet"));
}
