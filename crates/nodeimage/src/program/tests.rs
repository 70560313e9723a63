use std::process::Command;

use capstead_artifact::NoProgress;
use serde_json::Value;

use super::*;
use crate::output::OutputOptions;

/// The layout holds all that the program needs, which is tried: it runs with nothing but the image's files.
#[tokio::test]
async fn a_program_comes_with_its_libraries() {
    let work = tempfile::tempdir().unwrap();
    let program = fs::canonicalize("/bin/true").unwrap();
    let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let image = ProgramImage { name: "example.com/a/true", tag: "v1", program: &program, path: "/bin/true", user: "65532:65532", labels };
    let built = super::program(&image, work.path()).unwrap();
    let again = super::program(&image, work.path()).unwrap();
    assert_eq!(built.digest(), again.digest(), "the same in, the same out");
    let layout = work.path().join("layout");
    let to = format!("oci:{}", layout.display()).parse().unwrap();
    built.write(&to, Some(work.path()), &OutputOptions::default(), &NoProgress).await.unwrap();

    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let blob = |digest: &Value| layout.join("blobs").join(digest.as_str().unwrap().replace(':', "/"));
    let index = read(&layout.join("index.json"));
    assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "example.com/a/true:v1");
    let manifest = read(&blob(&index["manifests"][0]["digest"]));
    let config = read(&blob(&manifest["config"]["digest"]));
    assert_eq!((&config["config"]["Entrypoint"][0], &config["config"]["User"]), (&"/bin/true".into(), &"65532:65532".into()));
    assert_eq!(config["config"]["Labels"]["a"], "b");

    let root = work.path().join("root");
    tar::Archive::new(fs::File::open(blob(&manifest["layers"][0]["digest"])).unwrap()).unpack(&root).unwrap();
    let needed = elf::needed(&fs::read(root.join("bin/true")).unwrap()).unwrap();
    let loader = root.join(needed.interpreter.unwrap().trim_start_matches('/'));
    let folders: Vec<String> = elf::FOLDERS.iter().map(|folder| root.join(folder).display().to_string()).collect();
    let ran = Command::new(loader).arg("--inhibit-cache").args(["--library-path", &folders.join(":")]).arg(root.join("bin/true")).status();
    assert!(ran.unwrap().success());
}

#[test]
fn what_is_no_program_is_refused() {
    let work = tempfile::tempdir().unwrap();
    let program = work.path().join("text");
    fs::write(&program, "text").unwrap();
    let image = ProgramImage { name: "a", tag: "v1", program: &program, path: "/a", user: "0", labels: BTreeMap::new() };
    let error = super::program(&image, work.path()).unwrap_err();
    assert!(error.to_string().contains("is no 64-bit program"), "{error}");
}
