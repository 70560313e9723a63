use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

const FILE: &str = "
base: {debian: {suite: bookworm}}
binaries:
  - {name: kubelet, version: v1, path: /usr/bin/kubelet, go: {module: m, package: x/kubelet}}
  - {name: etcd, version: v3, image: {reference: 'a.io/etcd:{version}', file: etcd}, go: {module: m, package: x/etcd}}
preload: archives
images:
  - {names: ['a.io/etcd:3'], files: [{binary: etcd, path: /etcd}]}
  - {names: ['a.io/pause:3'], files: [{root: /usr/bin/catatonit, path: /pause}]}
";

fn loaded() -> Loaded {
    let file: ImageFile = yaml_serde::from_str(FILE).unwrap();
    assert_eq!(file.problems(), []);
    Loaded { file, from: vec!["test".into()] }
}

fn options(folder: &Path) -> Options {
    let fetch = FetchOptions { bin_dir: Some(folder.join("bin")), ..FetchOptions::default() };
    Options { cache_root: folder.join("cache"), fetch, ..Options::default() }
}

fn program(folder: &Path, name: &str) {
    let path = folder.join("bin").join(name);
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::fs::write(&path, name).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn known(forecast: &Forecast) -> Vec<bool> {
    forecast.steps.iter().map(|step| step.key.is_some()).collect()
}

fn done(forecast: &Forecast) -> Vec<bool> {
    forecast.steps.iter().map(|step| step.done).collect()
}

#[tokio::test]
async fn what_depends_on_what_is_not_here_has_no_key_yet() {
    let folder = tempfile::tempdir().unwrap();
    let forecast = node(&loaded(), "node", &options(folder.path())).await.unwrap();
    assert_eq!(forecast.binaries[0].from, ["Go build of x/kubelet"]);
    assert_eq!(forecast.binaries[1].from, ["OCI image a.io/etcd:v3", "Go build of x/etcd"]);
    assert!(forecast.binaries.iter().all(|binary| binary.digest.is_none()));
    // Base, etcd, pause, files and programs, container images.
    assert_eq!(known(&forecast), [true, false, true, false, false]);
    assert_eq!(done(&forecast), [false; 5]);
    assert!(!folder.path().join("cache").exists());

    program(folder.path(), "etcd");
    let forecast = node(&loaded(), "node", &options(folder.path())).await.unwrap();
    assert_eq!(known(&forecast), [true, true, true, false, true]);
    assert_eq!(
        (forecast.binaries[1].digest.clone(), &forecast.binaries[1].from[..]),
        (Some(Digest::of(b"etcd")), &["path".to_owned()][..])
    );
}

#[tokio::test]
async fn what_is_in_the_cache_is_done_unless_all_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), "etcd");
    program(folder.path(), "kubelet");
    let mut options = options(folder.path());
    let forecast = node(&loaded(), "node", &options).await.unwrap();
    let inputs = Inputs {
        binaries: [("etcd".to_owned(), Digest::of(b"etcd")), ("kubelet".to_owned(), Digest::of(b"kubelet"))].into(),
        ..Inputs::default()
    };
    // The very keys that the build has.
    let keys: Vec<Digest> = plan(&loaded().file, &inputs).steps.into_iter().map(|step| step.key).collect();
    assert_eq!(forecast.steps.iter().filter_map(|step| step.key.clone()).collect::<Vec<_>>(), keys);
    std::fs::create_dir_all(options.steps().join("steps").join(keys[1].hex())).unwrap();
    assert_eq!(done(&node(&loaded(), "node", &options).await.unwrap()), [false, true, false, false, false]);
    options.anew = true;
    assert_eq!(done(&node(&loaded(), "node", &options).await.unwrap()), [false; 5]);
}

#[test]
fn a_kernel_is_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.fetch.platform = capstead_artifact::Platform { os: "linux".into(), architecture: "amd64".into() };
    let forecast = kernel(&KernelSpec::default(), "kernel", &options).unwrap();
    assert_eq!(forecast.steps[0].what, "the kernel linux-image-cloud-amd64 of Debian bookworm");
    assert!(!forecast.steps[0].done);
    let wrong =
        KernelSpec { package: "x'; y".into(), mirrors: vec!["nowhere".into()], modules: vec!["a b".into()], ..KernelSpec::default() };
    let error = kernel(&wrong, "kernel", &options).unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    for rule in [
        "\n  package: `x'; y` is no package's name",
        "\n  mirrors[0]: `nowhere` is neither a URL nor a line of sources.list",
        "\n  modules[0]: `a b` is no module's name",
    ] {
        assert!(error.contains(rule), "{rule} is not in {error}");
    }
}
