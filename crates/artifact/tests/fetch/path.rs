//! Binaries that are installed already.

use std::fs;

use capstead_artifact::{FetchError, FetchOptions, NoProgress, Origin, Source, Store};

use crate::support::{Heard, artifact, executable, from, other_platform, script};

#[tokio::test]
async fn a_wrong_version_is_skipped_and_the_next_folder_has_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let [old, other, right] = ["old", "other", "right"].map(|name| folder.path().join(name));
    for (place, text) in [(&old, "v1.2.30"), (&other, "v1.2.3-rc.1"), (&right, "v1.2.3")] {
        fs::create_dir(place).unwrap();
        executable(&place.join("tool"), &script("tool", text));
    }
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let search_path = std::env::join_paths([&other, &right]).unwrap();
    let options = FetchOptions { bin_dir: Some(old.clone()), search_path: Some(search_path), ..from(Source::Path) };
    let heard = Heard::default();
    let fetched = store.fetch(&artifact("tool", "v1.2.3"), &options, &heard).await.unwrap();
    assert_eq!(fetched.path, right.join("tool"));
    assert_eq!(fetched.source, Origin::Path);
    assert_eq!(fetched.digest, None);
    assert!(heard.messages().contains("old/tool is not v1.2.3 (it says: tool v1.2.30)"), "{}", heard.messages());
    assert!(heard.messages().contains("other/tool is not v1.2.3 (it says: tool v1.2.3-rc.1)"), "{}", heard.messages());
}

#[tokio::test]
async fn without_a_probe_only_the_given_folder_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    executable(&folder.path().join("tool"), &script("tool", "v9"));
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let mut unprobed = artifact("tool", "v1.2.3");
    unprobed.probe = None;
    let on_path = FetchOptions { search_path: Some(folder.path().into()), ..from(Source::Path) };
    let error = store.fetch(&unprobed, &on_path, &NoProgress).await.unwrap_err();
    assert!(error.to_string().contains("its version cannot be checked"), "{error}");
    let given = FetchOptions { bin_dir: Some(folder.path().into()), ..from(Source::Path) };
    assert_eq!(store.fetch(&unprobed, &given, &NoProgress).await.unwrap().path, folder.path().join("tool"));
}

#[tokio::test]
async fn what_is_installed_here_is_not_taken_for_another_platform() {
    let folder = tempfile::tempdir().unwrap();
    executable(&folder.path().join("tool"), &script("tool", "v1.2.3"));
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let options = FetchOptions { bin_dir: Some(folder.path().into()), platform: other_platform(), ..from(Source::Path) };
    assert!(store.fetch(&artifact("tool", "v1.2.3"), &options, &NoProgress).await.unwrap_err().to_string().contains("is not for linux/"));
}

#[tokio::test]
async fn an_endless_talker_and_a_file_that_is_no_program_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let [noisy, broken] = ["noisy", "broken"].map(|name| folder.path().join(name));
    for (place, text) in [(&noisy, "#!/bin/sh\nexec yes tool v9\n"), (&broken, "not a program")] {
        fs::create_dir(place).unwrap();
        executable(&place.join("tool"), text);
    }
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let options = FetchOptions { search_path: Some(std::env::join_paths([&noisy, &broken]).unwrap()), ..from(Source::Path) };
    let error = store.fetch(&artifact("tool", "v1.2.3"), &options, &NoProgress).await.unwrap_err().to_string();
    assert!(error.contains("noisy/tool is not v1.2.3"), "{error}");
    assert!(error.contains("broken/tool cannot be run"), "{error}");
}

#[tokio::test]
async fn the_error_names_every_source_tried_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let mut wanted = artifact("tool", "v1.2.3");
    // Port 9 (discard) of loopback: nobody listens there.
    wanted.image = Some(capstead_artifact::ImageSource { reference: "127.0.0.1:9/tool:{version}".to_owned(), file: "/tool".to_owned() });
    wanted.go = Some(capstead_artifact::GoSource {
        module: "set".to_owned(),
        package: "capstead.test/tool".to_owned(),
        ldflags: String::new(),
        cgo: false,
    });
    let modules = capstead_artifact::GoModules::new("set", "module capstead.test/set\n\ngo 1.26.0\n", "");
    let options = FetchOptions { search_path: Some("/nonexistent".into()), modules: vec![modules].into(), ..from(Source::Auto) };
    let error = store.fetch(&wanted, &options, &NoProgress).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot get tool v1.2.3 (linux/"), "{text}");
    assert!(text.contains("\n  path: no executable `tool` in the search path"), "{text}");
    assert!(text.contains("\n  oci: registry 127.0.0.1:9 cannot be reached"), "{text}");
    assert!(text.contains("CAPSTEAD_REGISTRY_MIRRORS"), "{text}");
    assert!(text.contains("\n  go: there is no `go` on the search path: install Go 1.26.0 or newer"), "{text}");
    let FetchError::Exhausted { attempts, .. } = error else { panic!("{text}") };
    assert_eq!(attempts.iter().map(|attempt| attempt.source).collect::<Vec<_>>(), [Source::Path, Source::Oci, Source::Go]);
}

#[tokio::test]
async fn what_is_installed_is_ignored_where_it_must_make_no_difference() {
    let folder = tempfile::tempdir().unwrap();
    let given = folder.path().join("given");
    fs::create_dir(&given).unwrap();
    executable(&folder.path().join("tool"), &script("tool", "v1.2.3"));
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let wanted = artifact("tool", "v1.2.3");
    let options = FetchOptions { search_path: Some(folder.path().into()), ignore_installed: true, ..from(Source::Auto) };
    let error = store.fetch(&wanted, &options, &NoProgress).await.unwrap_err();
    assert!(!error.to_string().contains("\n  path:"), "{error}");
    // The folder given is looked at, and its binary still has to tell its version.
    let options = FetchOptions { bin_dir: Some(given.clone()), ..options };
    executable(&given.join("tool"), &script("tool", "v1.2.2"));
    let error = store.fetch(&wanted, &options, &NoProgress).await.unwrap_err();
    assert!(error.to_string().contains("given/tool is not v1.2.3 (it says: tool v1.2.2)"), "{error}");
    executable(&given.join("tool"), &script("tool", "v1.2.3"));
    assert_eq!(store.fetch(&wanted, &options, &NoProgress).await.unwrap().path, given.join("tool"));
}

#[tokio::test]
async fn what_is_here_is_found_and_what_is_not_is_not_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let mut wanted = artifact("tool", "v1.2.3");
    wanted.go = Some(capstead_artifact::GoSource {
        module: "none".to_owned(),
        package: "capstead.test/tool".to_owned(),
        ldflags: String::new(),
        cgo: false,
    });
    let options = FetchOptions { bin_dir: Some(folder.path().into()), search_path: Some("/nonexistent".into()), ..from(Source::Auto) };
    assert_eq!(Store::find(&cache, &wanted, &options).await.unwrap(), None);
    executable(&folder.path().join("tool"), &script("tool", "v1.2.3"));
    assert_eq!(Store::find(&cache, &wanted, &options).await.unwrap().unwrap().path, folder.path().join("tool"));
    assert!(!cache.exists());
    wanted.version.clear();
    assert!(matches!(Store::find(&cache, &wanted, &options).await, Err(FetchError::Artifact(_))));
}
