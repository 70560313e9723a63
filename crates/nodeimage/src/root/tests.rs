use super::*;
use crate::debian;

/// A root with `/bin` and `/lib` merged into `/usr`, as Debian has it.
fn root(fill: impl FnOnce(&mut Layer)) -> (tempfile::TempDir, Root) {
    let mut layer = Layer::default();
    for name in ["bin", "sbin", "lib"] {
        layer.put(name, Entry::link(format!("usr/{name}")));
        layer.put(&format!("usr/{name}"), Entry::folder());
    }
    fill(&mut layer);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    layer.write(&path, 1_600_000_000).unwrap();
    let root = Root::read(&[path], folder.path()).unwrap();
    (folder, root)
}

#[test]
fn new_things_go_where_links_lead() {
    let (_folder, root) = root(|layer| layer.put("etc/a", Entry::folder()));
    assert_eq!(root.resolve("/lib/systemd/x.service").unwrap(), ("usr/lib/systemd/x.service".into(), vec!["usr/lib/systemd".into()]));
    assert_eq!(root.resolve("/etc/a/b").unwrap(), ("etc/a/b".into(), vec![]));
    assert_eq!(
        root.resolve("/opt/cni/bin/x").unwrap(),
        ("opt/cni/bin/x".into(), vec!["opt".into(), "opt/cni".into(), "opt/cni/bin".into()])
    );
}

#[test]
fn what_is_taken_comes_with_the_links_that_lead_to_it() {
    let (_folder, root) = root(|layer| {
        layer.put("usr/sbin/iptables", Entry::link("/etc/alternatives/iptables"));
        layer.put("etc/alternatives/iptables", Entry::link("/usr/sbin/iptables-nft"));
        layer.put("usr/sbin/iptables-nft", Entry::link("xtables-nft-multi"));
        layer.put("usr/sbin/xtables-nft-multi", Entry::bytes("#!program", 0o755));
        layer.put("usr/lib/xtables/a.so", Entry::bytes("a", 0o644));
        layer.put("usr/lib/xtables/b.so", Entry::link("a.so"));
    });
    let mut taken = Layer::default();
    root.take("/sbin/iptables", &mut taken).unwrap();
    root.take("/usr/lib/xtables", &mut taken).unwrap();
    for name in ["sbin", "usr/sbin/iptables", "etc/alternatives/iptables", "usr/sbin/iptables-nft", "usr/sbin/xtables-nft-multi"] {
        assert!(taken.contains(name), "{name}");
    }
    assert!(taken.contains("usr/lib/xtables/a.so") && taken.contains("usr/lib/xtables/b.so"));
    assert!(!taken.contains("bin"));
    assert!(matches!(root.take("/usr/sbin/nft", &mut taken), Err(RootError::NotFound { path }) if path == "/usr/sbin/nft"));
}

#[test]
fn a_real_program_comes_with_its_libraries() {
    let program = std::fs::read("/bin/sh").unwrap();
    let needed = elf::needed(&program).unwrap();
    assert!(needed.libraries.contains(&"libc.so.6".to_owned()), "{needed:?}");
    let interpreter = needed.interpreter.clone().unwrap();
    let fill = |with_libc: bool| {
        let (program, interpreter) = (program.clone(), interpreter.clone());
        move |layer: &mut Layer| {
            layer.put("usr/bin/sh", Entry::bytes(program, 0o755));
            layer.put(&interpreter, Entry::bytes("loader", 0o755));
            if with_libc {
                layer.put("usr/lib/x86_64-linux-gnu/libc.so.6", Entry::bytes("libc", 0o755));
            }
        }
    };
    let (_folder, whole) = root(fill(true));
    let mut taken = Layer::default();
    whole.take("/bin/sh", &mut taken).unwrap();
    assert!(taken.contains("usr/bin/sh") && taken.contains("usr/lib/x86_64-linux-gnu/libc.so.6") && taken.contains(&interpreter));
    let (_folder, lacking) = root(fill(false));
    let error = lacking.take("/bin/sh", &mut Layer::default()).unwrap_err();
    assert!(matches!(&error, RootError::Library { library, .. } if library == "libc.so.6"), "{error}");
}

#[test]
fn links_without_end_are_an_error() {
    let (_folder, root) = root(|layer| {
        layer.put("a", Entry::link("b"));
        layer.put("b", Entry::link("a"));
    });
    assert!(matches!(root.take("/a", &mut Layer::default()), Err(RootError::Links { .. })));
}

#[test]
fn what_passes_is_left_out_and_hard_links_stay_links() {
    let (folder, root) = root(|layer| {
        layer.put("usr/bin/zip", Entry::bytes("zip", 0o755));
        layer.put("usr/bin/zz", Entry::new(Kind::HardLink("usr/bin/zip".into()), 0o755));
        layer.put("etc/ssh/ssh_host_rsa_key", Entry::bytes("secret", 0o600));
        layer.put("etc/hostname", Entry::bytes("this-machine", 0o644));
        layer.put("var/log/dpkg.log", Entry::bytes("today", 0o644));
        layer.put("var/log/journal", Entry::folder());
        layer.put("var/cache/apt/pkgcache.bin", Entry::bytes("cache", 0o644));
    });
    let layer = root.layer(debian::is_passing);
    for gone in ["etc/ssh/ssh_host_rsa_key", "etc/hostname", "var/log/dpkg.log", "var/cache/apt/pkgcache.bin"] {
        assert!(!layer.contains(gone), "{gone}");
    }
    assert!(layer.contains("etc/ssh") && layer.contains("var/cache/apt") && layer.contains("var/log/journal"));
    assert!(matches!(&layer.get("usr/bin/zz").unwrap().kind, Kind::HardLink(target) if target == "usr/bin/zip"));
    // The same again, however often it is read and written.
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    layer.write(&first, 1_600_000_000).unwrap();
    Root::read(std::slice::from_ref(&first), folder.path()).unwrap().layer(|_| false).write(&second, 1_600_000_000).unwrap();
    assert_eq!(std::fs::read(first).unwrap(), std::fs::read(second).unwrap());
}
