use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::accept::tests::spec;

fn shared(source: &Path, read_only: bool, folders: &[&Path]) -> Result<Vec<Share>, String> {
    let container = json!({"id": "a", "source": {"container_source": "registry:5000/v:1"}});
    let folder = json!({"id": "b", "is_read_only": read_only, "source": {"virtiofs_source": source}});
    let shared_folders = folders.iter().map(|folder| (*folder).to_owned()).collect();
    shares(&spec(&[("/additional_volumes", json!([container, folder]))]), &HostOptions { shared_folders, ..HostOptions::default() })
}

#[test]
fn only_what_the_host_allows_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let path = |name: &str| root.join(name);
    fs::create_dir_all(path("open/inner")).unwrap();
    fs::create_dir_all(path("openX")).unwrap();
    fs::write(path("open/file"), "").unwrap();
    symlink(path("open"), path("link")).unwrap();
    symlink("/etc", path("open/out")).unwrap();
    let open = path("open");
    let refused = |source: &Path| shared(source, false, &[&open]).unwrap_err();

    let inner = Share { tag: "user".into(), folder: path("open/inner"), read_only: true };
    assert_eq!(shared(&path("open/inner"), true, &[&open]), Ok(vec![inner]));
    assert_eq!(shared(&path("link"), false, &[&open]).unwrap()[0].folder, open, "by its real path");
    assert_eq!(shared(&open, false, &[&path("link")]).unwrap()[0].folder, open, "what is allowed may be a link, too");
    assert_eq!(shared(Path::new("/etc"), false, &[Path::new("/")]).unwrap().len(), 1, "as flintlock, for who wants that");

    let none = shared(&open, false, &[]).unwrap_err();
    assert!(none.starts_with("additional_volumes[1].source.virtiofs_source: ") && none.contains("--virtiofs-allow"), "{none}");
    for outside in [path("openX"), path("open/out"), "/etc".into(), "/nowhere".into(), root.clone()] {
        assert!(refused(&outside).contains("shares only folders below"), "{}", outside.display());
    }
    for relative in ["", "open", "/srv/../etc"] {
        assert!(refused(Path::new(relative)).contains("no absolute path"), "{relative:?}");
    }
    assert!(refused(&path("open/missing")).contains("No such file"));
    assert!(refused(&path("open/file")).contains("no folder"));
}

#[test]
fn who_has_no_virtiofsd_is_told_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let missing = capstead_vmm::NoVirtiofsd::Missing { program: "virtiofsd".into() };
    let runner = Runner::new(&root, Vec::new(), Default::default()).unwrap().with_virtiofsd(Err(missing));
    let shares = [Share { tag: TAG.into(), folder: root, read_only: false }];
    let spec = spec(&[("/additional_volumes", json!([{"id": "b", "source": {"virtiofs_source": "/srv"}}]))]);
    let told = unservable(&spec, &shares, &runner);
    assert!(told.len() == 1 && told[0].contains("additional_volumes[0]") && told[0].contains("install virtiofsd"), "{told:?}");
}
