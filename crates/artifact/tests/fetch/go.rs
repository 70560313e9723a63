//! Building with the real Go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use capstead_artifact::{Event, FetchOptions, GoModules, NoProgress, Origin, Source, Store, go_module_dir};

use crate::support::{
    Heard, TinyGo, fetch_if_told, files, go_that_first, number_in, other_platform, real_go, runs, wait_for, wait_for_async,
};

/// Lines a `go` that keeps count wrote.
fn builds(count: &std::path::Path) -> usize {
    fs::read_to_string(count).unwrap_or_default().lines().count()
}

/// A build that counts and then stands still until `go_on` is written to. A second one, which should not be, fails.
fn hold(count: &std::path::Path, go_on: &std::path::Path) -> String {
    let made = std::process::Command::new("mkfifo").arg(go_on).status().unwrap();
    assert!(made.success());
    format!("echo build >> {0}\n[ $(wc -l < {0}) = 1 ] || exit 3\ncat {1}", count.display(), go_on.display())
}

#[tokio::test]
async fn a_build_is_made_once_and_then_found_in_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (tiny, cache, count) = (TinyGo::new(folder.path()), folder.path().join("cache"), folder.path().join("count"));
    let search_path = go_that_first(folder.path(), &format!("echo build >> {}", count.display()));
    let options = FetchOptions { search_path: Some(search_path), ..tiny.options(Source::Go) };
    let store = Store::open(&cache).unwrap();
    let heard = Heard::default();
    let first = store.fetch(&tiny.artifact, &options, &heard).await.unwrap();
    let origin = Origin::Go { module: "tiny".to_owned(), package: "capstead.test/tiny/cmd/tiny".to_owned() };
    assert_eq!((first.cached, &first.source, first.version.as_str()), (false, &origin, "v1.2.3"));
    assert!(first.path.starts_with(&cache));
    assert_eq!(first.digest.as_deref().unwrap().strip_prefix("sha256:").unwrap(), first.path.file_name().unwrap().to_str().unwrap());
    assert_eq!(fs::metadata(&first.path).unwrap().permissions().mode() & 0o7777, 0o500);
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o7777, 0o700);
    let events = heard.events();
    assert!(matches!(&events[0], Event::Started { what, total: None } if what.contains("capstead.test/tiny/cmd/tiny")), "{events:?}");
    assert!(events.contains(&Event::Advanced { amount: 1 }), "{events:?}");
    assert!(matches!(events.last(), Some(Event::Finished { .. })), "{events:?}");

    // Another store on the same folder, and any source that includes Go.
    let again = Store::open(&cache).unwrap();
    let second = again.fetch(&tiny.artifact, &FetchOptions { source: Source::Auto, ..options.clone() }, &NoProgress).await.unwrap();
    assert_eq!((second.cached, &second.path, &second.source), (true, &first.path, &origin));
    assert_eq!(Store::find(&cache, &tiny.artifact, &options).await.unwrap().map(|found| found.path), Some(first.path));
    assert_eq!(builds(&count), 1);

    // Any part of the recipe makes it another file.
    let mut other = tiny.artifact.clone();
    other.go.as_mut().unwrap().ldflags.push_str(" -X main.other=1");
    assert!(!again.fetch(&other, &options, &NoProgress).await.unwrap().cached);
    assert_eq!(builds(&count), 2);
    assert_eq!(files(&cache.join("work")), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_build_that_is_not_the_wanted_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyGo::new(folder.path());
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let mut wrong = tiny.artifact.clone();
    wrong.go.as_mut().unwrap().ldflags.clear();
    let error = store.fetch(&wrong, &tiny.options(Source::Go), &NoProgress).await.unwrap_err().to_string();
    assert!(error.contains("is not v1.2.3 (it says: tiny unset)"), "{error}");
    assert_eq!(files(&folder.path().join("cache/blobs")), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_failing_build_tells_what_the_compiler_said() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyGo::new(folder.path());
    fs::write(folder.path().join("tiny-source/cmd/tiny/main.go"), "package main\n\nfunc main() { nowhere() }\n").unwrap();
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let error = store.fetch(&tiny.artifact, &tiny.options(Source::Go), &NoProgress).await.unwrap_err().to_string();
    assert!(error.contains("go: `go build capstead.test/tiny/cmd/tiny` failed"), "{error}");
    assert!(error.contains("undefined: nowhere"), "{error}");
}

#[tokio::test]
async fn a_build_for_another_platform_is_made_but_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyGo::new(folder.path());
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let options = FetchOptions { platform: other_platform(), ..tiny.options(Source::Go) };
    let fetched = store.fetch(&tiny.artifact, &options, &NoProgress).await.unwrap();
    let machine = fs::read(&fetched.path).unwrap()[18];
    // The ELF header's e_machine: 62 is x86-64, 183 is AArch64.
    assert_eq!(machine, if options.platform.architecture == "arm64" { 183 } else { 62 });
}

#[tokio::test]
async fn an_old_go_that_may_not_fetch_a_newer_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyGo::new(folder.path());
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let modules = GoModules { go_mod: tiny.modules.go_mod.replace("go 1.21", "go 99.1.0").into(), ..tiny.modules.clone() };
    // A `go` whose environment says "local", whatever the user's does.
    let local = folder.path().join("go-bin");
    fs::create_dir(&local).unwrap();
    let text = format!("#!/bin/sh\nGOTOOLCHAIN=local exec {} \"$@\"\n", real_go().display());
    crate::support::executable(&local.join("go"), &text);
    let options = FetchOptions { modules: vec![modules].into(), search_path: Some(local.into()), ..tiny.options(Source::Go) };
    let error = store.fetch(&tiny.artifact, &options, &NoProgress).await.unwrap_err().to_string();
    assert!(error.contains("go-bin/go is version go1.") && error.contains("but the modules need 99.1.0: install it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tasks_share_one_build() {
    let folder = tempfile::tempdir().unwrap();
    let (tiny, count, go_on) = (TinyGo::new(folder.path()), folder.path().join("count"), folder.path().join("go-on"));
    // The build stands still until both have come as far as they can.
    let hold = hold(&count, &go_on);
    let options = FetchOptions { search_path: Some(go_that_first(folder.path(), &hold)), ..tiny.options(Source::Go) };
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let heard = Arc::new(Heard::default());
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (store, artifact, options, heard) = (store.clone(), tiny.artifact.clone(), options.clone(), heard.clone());
            tokio::spawn(async move { store.fetch(&artifact, &options, heard.as_ref()).await })
        })
        .collect();
    wait_for_async("the second to say that it waits", || heard.messages().contains(" to finish fetching tiny v1.2.3").then_some(())).await;
    wait_for_async("the first to build", || (builds(&count) == 1).then_some(())).await;
    fs::write(&go_on, "").unwrap();
    let mut cached = Vec::new();
    for task in tasks {
        cached.push(task.await.unwrap().unwrap().cached);
    }
    cached.sort_unstable();
    assert_eq!((cached, builds(&count)), (vec![false, true], 1));
}

#[test]
fn two_processes_share_one_build() {
    fetch_if_told();
    let folder = tempfile::tempdir().unwrap();
    let (tiny, cache, count) = (TinyGo::new(folder.path()), folder.path().join("cache"), folder.path().join("count"));
    let go_on = folder.path().join("go-on");
    let hold = hold(&count, &go_on);
    let search_path = go_that_first(folder.path(), &hold);
    let first = tiny.process(&cache, &search_path).spawn().unwrap();
    wait_for("the first to build", || (builds(&count) == 1).then_some(()));
    let mut second = tiny.process(&cache, &search_path).spawn().unwrap();
    let mut said = std::io::BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains(&format!("waiting for process {} to finish", first.id())), "{line}");
    fs::write(&go_on, "").unwrap();
    let first = first.wait_with_output().unwrap();
    let first = String::from_utf8(first.stderr).unwrap();
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    assert!(second.wait().unwrap().success());
    let path = first.lines().last().unwrap();
    assert!(path.starts_with("fetched /"), "{first}");
    assert_eq!(rest.lines().last().unwrap(), path);
    assert_eq!(builds(&count), 1);
}

#[tokio::test]
async fn a_run_killed_in_the_middle_of_a_build_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (tiny, cache, orphan) = (TinyGo::new(folder.path()), folder.path().join("cache"), folder.path().join("orphan"));
    // Writes half a binary where the real one should be, then hangs.
    let hang = format!("for last; do :; done\nprintf half > built; echo $$ > {}; exec sleep 600", orphan.display());
    let mut killed = tiny.process(&cache, &go_that_first(folder.path(), &hang)).spawn().unwrap();
    let orphan = wait_for("the build to hang", || number_in(&orphan));
    killed.kill().unwrap();
    assert_eq!(killed.wait().unwrap().signal(), Some(9));
    assert_ne!(files(&cache.join("work")).len(), 0);

    let store = Store::open(&cache).unwrap();
    assert_eq!(files(&cache.join("work")).len(), 0);
    let fetched = store.fetch(&tiny.artifact, &tiny.options(Source::Go), &NoProgress).await.unwrap();
    assert!(!fetched.cached);
    assert_eq!(files(&cache.join("blobs")), [fetched.path]);
    rustix::process::kill_process(rustix::process::Pid::from_raw(orphan).unwrap(), rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn dropping_the_fetch_kills_go_and_everything_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = TinyGo::new(folder.path());
    let [leader, member] = ["leader", "member"].map(|name| folder.path().join(name));
    let hang = format!("sleep 600 &\necho $! > {}; echo $$ > {}; exec sleep 600", member.display(), leader.display());
    let options = FetchOptions { search_path: Some(go_that_first(folder.path(), &hang)), ..tiny.options(Source::Go) };
    let cache = folder.path().join("cache");
    let store = Store::open(&cache).unwrap();
    let started = wait_for_async("the build to hang", || number_in(&leader).zip(number_in(&member)));
    let (leader, member) = tokio::select! {
        processes = started => processes,
        fetched = store.fetch(&tiny.artifact, &options, &NoProgress) => panic!("{fetched:?}"),
    };
    wait_for("the leader to end", || (!runs(leader)).then_some(()));
    wait_for("the other to end", || (!runs(member)).then_some(()));
    assert_eq!(files(&cache.join("work")), Vec::<std::path::PathBuf>::new());
    // And nothing holds the lock any more.
    assert!(!store.fetch(&tiny.artifact, &tiny.options(Source::Go), &NoProgress).await.unwrap().cached);
}

#[tokio::test]
async fn a_modules_folder_is_found_by_its_path() {
    let modules = [GoModules::new(
        "test-registry",
        include_str!("../../../../tools/test-registry/go.mod"),
        include_str!("../../../../tools/test-registry/go.sum"),
    )];
    let search_path = std::env::var_os("PATH").unwrap();
    let module = "github.com/distribution/distribution/v3";
    let folder = go_module_dir(&modules, "test-registry", module, &search_path).await.unwrap();
    assert!(folder.join("cmd/registry/main.go").is_file(), "{}", folder.display());
    let unpinned = [GoModules { go_sum: "".into(), ..modules[0].clone() }];
    let error = go_module_dir(&unpinned, "test-registry", module, &search_path).await.unwrap_err().to_string();
    assert!(error.contains("not pinned in its go.sum"), "{error}");
    assert!(go_module_dir(&modules, "other", module, &search_path).await.unwrap_err().to_string().contains("no pinned module set `other`"));
}
