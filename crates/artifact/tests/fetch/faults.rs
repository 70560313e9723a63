//! A cache that was meddled with, and disks and folders that do not take what is written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use capstead_artifact::{Artifact, CacheError, Fetched, ImageSource, NoProgress, Source, Store};

use crate::registry::{Entry, TestRegistry, gzip, plain, tar};
use crate::support::{Heard, artifact, fetch_process, files, from, script};

/// A fetched tool, and what it takes to fetch it again.
struct Case {
    folder: tempfile::TempDir,
    _registry: TestRegistry,
    store: Store,
    wanted: Artifact,
    first: Fetched,
}

impl Case {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = TestRegistry::start(folder.path()).await;
        registry.push("tool:v1", vec![gzip(&tar(&[Entry::File("tool", script("tool", "v1.2.3").as_bytes())]))]).await;
        let mut wanted = artifact("tool", "v1.2.3");
        wanted.image = Some(ImageSource { reference: registry.reference("tool:v1"), file: "tool".to_owned() });
        let store = Store::open(&folder.path().join("cache")).unwrap();
        let first = store.fetch(&wanted, &from(Source::Oci), &NoProgress).await.unwrap();
        Self { folder, _registry: registry, store, wanted, first }
    }

    async fn again(&self) -> (Fetched, String) {
        let heard = Heard::default();
        let fetched = self.store.fetch(&self.wanted, &from(Source::Oci), &heard).await.unwrap();
        (fetched, heard.messages())
    }

    fn record(&self) -> String {
        fs::read_to_string(&files(&self.folder.path().join("cache/index"))[0]).unwrap()
    }
}

#[tokio::test]
async fn a_damaged_file_is_noticed_said_and_fetched_again() {
    let case = Case::new().await;
    let text = fs::read_to_string(&case.first.path).unwrap();
    fs::set_permissions(&case.first.path, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&case.first.path, text.replace("v1.2.3", "v6.6.6")).unwrap();
    let (again, said) = case.again().await;
    assert!(!again.cached);
    assert!(said.contains(&format!("{} is damaged: fetching it again", case.first.path.display())), "{said}");
    assert_eq!(fs::read_to_string(&again.path).unwrap(), text);
    assert!(case.again().await.0.cached);
}

#[tokio::test]
async fn a_file_that_is_gone_is_fetched_again() {
    let case = Case::new().await;
    fs::remove_file(&case.first.path).unwrap();
    let (again, said) = case.again().await;
    assert!(!again.cached && again.path == case.first.path);
    assert!(said.contains("is gone: fetching it again"), "{said}");
}

#[tokio::test]
async fn a_touched_but_sound_file_is_read_once_and_stays() {
    let case = Case::new().await;
    let before = case.record();
    fs::set_permissions(&case.first.path, fs::Permissions::from_mode(0o755)).unwrap();
    fs::File::options().append(true).open(&case.first.path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let (again, said) = case.again().await;
    assert!(again.cached && said.is_empty(), "{said}");
    assert_eq!(fs::metadata(&again.path).unwrap().permissions().mode() & 0o7777, 0o500);
    let after = case.record();
    assert_ne!(before, after);
    assert!(case.again().await.0.cached);
    assert_eq!(case.record(), after);
}

#[tokio::test]
async fn a_damaged_record_is_no_hit() {
    let case = Case::new().await;
    let record = files(&case.folder.path().join("cache/index")).remove(0);
    for text in ["", "{", &case.record().replace("sha256:", "sha256:../../"), &case.record().replace("\"format\": 1", "\"format\": 2")] {
        fs::write(&record, text).unwrap();
        assert!(!case.again().await.0.cached, "{text}");
    }
}

#[test]
fn a_cache_folder_that_cannot_be_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Store::open(&path).unwrap_err();
        assert!(matches!(&error, CacheError::NotAFolder { path: named } if *named == path), "{error:?}");
        assert!(error.to_string().contains("CAPSTEAD_CACHE_DIR"), "{error}");
    }
    // Where not even root may write.
    let sealed = Path::new("/sys/capstead-test");
    let error = Store::open(sealed).unwrap_err();
    assert!(matches!(&error, CacheError::NotWritable { path, .. } if path == sealed), "{error:?}");
}

/// Fetches a tool of some size in a process that a shell line starts as `"$@"`, and gives what it said.
async fn fetch_under(folder: &Path, shell: &str, through: &[&str]) -> String {
    let registry = TestRegistry::start(folder).await;
    let text = script("tool", "v1.2.3") + &"# filler\n".repeat(100_000);
    registry.push("tool:v1", vec![plain(tar(&[Entry::File("tool", text.as_bytes())]))]).await;
    let mut wanted = artifact("tool", "v1.2.3");
    wanted.image = Some(ImageSource { reference: registry.reference("tool:v1"), file: "tool".to_owned() });
    let cache = folder.join("cache");
    fs::create_dir(&cache).unwrap();
    let fetch = fetch_process(&cache, &wanted, Source::Oci);
    let mut command = Command::new(through[0]);
    command.envs(fetch.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(&through[1..]).args(["sh", "-c", shell, "sh"]).arg(fetch.get_program()).args(fetch.get_args());
    let output = command.env("CACHE", &cache).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A real file system of 400 KiB, in a mount namespace of its own, for which any user may ask.
    let shell = "mount -t tmpfs -o size=400k tmpfs \"$CACHE\" && \"$@\"; code=$?; find \"$CACHE/work\" -type f >&2; exit $code";
    let said = fetch_under(folder.path(), shell, &["unshare", "--user", "--map-root-user", "--mount"]).await;
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("failed no room left to write ") && last.contains("layer-0: free some"), "{said}");
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_is_told_alike() {
    let folder = tempfile::tempdir().unwrap();
    let said = fetch_under(folder.path(), "trap '' XFSZ; ulimit -f 100; exec \"$@\"", &["env"]).await;
    assert!(said.lines().last().unwrap().starts_with("failed no room left to write "), "{said}");
    assert_eq!(files(&folder.path().join("cache/work")).len() + files(&folder.path().join("cache/blobs")).len(), 0);
}
