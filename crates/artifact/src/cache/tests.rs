use proptest::prelude::*;

use super::*;

fn recipe() -> Recipe {
    let made =
        Made::Go { package: "p".to_owned(), ldflags: String::new(), cgo: false, go_mod: digest_of_text("m"), go_sum: digest_of_text("s") };
    Recipe { name: "tool".to_owned(), version: "v1".to_owned(), platform: Platform::host(), made }
}

#[test]
fn every_part_of_a_recipe_counts() {
    let other_platform = Platform { os: "plan9".to_owned(), ..Platform::host() };
    let go = |package: &str, ldflags: &str, go_mod: &str, go_sum: &str| Recipe {
        made: Made::Go {
            package: package.to_owned(),
            ldflags: ldflags.to_owned(),
            cgo: false,
            go_mod: digest_of_text(go_mod),
            go_sum: digest_of_text(go_sum),
        },
        ..recipe()
    };
    let oci =
        |reference: &str, file: &str| Recipe { made: Made::Oci { reference: reference.to_owned(), file: file.to_owned() }, ..recipe() };
    let all = [
        recipe(),
        Recipe { name: "other".to_owned(), ..recipe() },
        Recipe { version: "v2".to_owned(), ..recipe() },
        Recipe { platform: other_platform, ..recipe() },
        go("q", "", "m", "s"),
        go("p", "-s", "m", "s"),
        go("p", "", "n", "s"),
        go("p", "", "m", "t"),
        oci("r", "f"),
        oci("q", "f"),
        oci("r", "g"),
    ];
    let keys: std::collections::BTreeSet<String> = all.iter().map(Recipe::key).collect();
    assert_eq!(keys.len(), all.len());
    assert_eq!(recipe().key(), recipe().key());
}

proptest! {
    #[test]
    fn two_lists_of_texts_never_run_together(first in prop::collection::vec(".{0,4}", 0..4), second in prop::collection::vec(".{0,4}", 0..4)) {
        fn parts(list: &[String]) -> Vec<&str> {
            list.iter().map(String::as_str).collect()
        }
        prop_assert_eq!(first == second, hash_parts(&parts(&first)) == hash_parts(&parts(&second)));
    }
}

#[test]
fn a_cache_root_below_a_shared_folder_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b");
    Cache::open(&root).unwrap();
    for path in ["", "blobs", "blobs/sha256", "index", "locks", "work"] {
        assert_eq!(fs::metadata(root.join(path)).unwrap().mode() & 0o777, 0o700, "{path}");
    }
}

#[tokio::test]
async fn a_lock_is_one_holders_at_a_time_and_work_of_the_dead_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let report = Reporter::new("tool", &crate::NoProgress);
    let lock = cache.lock("key", "it", report).await.unwrap();
    let work = cache.work("key", &lock).unwrap();
    fs::write(work.path().join("half"), "half").unwrap();
    // While the lock is held the work is left alone, and nobody else gets the lock.
    Cache::open(folder.path()).unwrap();
    assert!(work.path().join("half").is_file());
    assert!(matches!(cache.open_lock("key").unwrap().try_lock(), Err(TryLockError::WouldBlock)));
    // A run that dies lets go of the lock and removes nothing.
    let left = work.path().to_path_buf();
    std::mem::forget(work);
    drop(lock);
    Cache::open(folder.path()).unwrap();
    assert!(!left.exists());
}
