//! Pulling from a real registry.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use capstead_artifact::oci::{OciError, Registry};
use capstead_artifact::{
    Artifact, AttemptError, Event, FetchError, FetchOptions, ImageSource, NoProgress, Origin, Platform, Source, Store,
};

use crate::registry::{Entry, TestRegistry, digest, gzip, plain, tar, zstd};
use crate::support::{Heard, TinyGo, artifact, fetch_process, files, from, go_that_first, other_platform, script};

/// The wanted tool, in an image.
fn tool(reference: String, file: &str) -> Artifact {
    let mut wanted = artifact("tool", "v1.2.3");
    wanted.image = Some(ImageSource { reference, file: file.to_owned() });
    wanted
}

/// Why the one attempt of a fetch failed.
fn reason(error: FetchError) -> AttemptError {
    let FetchError::Exhausted { mut attempts, .. } = error else { panic!("{error}") };
    assert_eq!(attempts.len(), 1);
    attempts.remove(0).error
}

#[tokio::test]
async fn a_file_comes_out_of_layers_of_every_compression_for_the_right_platform() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start(folder.path()).await;
    let (right, wrong) = (script("tool", "v1.2.3"), script("tool", "v0.0.0"));
    let (host, other) = (Platform::host(), other_platform());
    let base = tar(&[Entry::Folder("usr/bin"), Entry::File("usr/bin/tool", wrong.as_bytes()), Entry::Link("bin", "usr/bin")]);
    let middle = tar(&[Entry::File("etc/motd", b"hello")]);
    let top = tar(&[Entry::File("bin/tool-v1.2.3", right.as_bytes()), Entry::Link("usr/bin/tool", "tool-v1.2.3")]);
    let ours = registry.push("tool:ours", vec![gzip(&base), plain(middle), zstd(&top)]).await;
    let theirs = registry.push("tool:theirs", vec![gzip(&base)]).await;
    registry.push_index("tool:v1.2.3", &[(&other, &theirs), (&host, &ours)]).await;

    let store = Store::open(&folder.path().join("cache")).unwrap();
    let wanted = tool(registry.reference("tool:{version}"), "/bin/tool");
    let heard = Heard::default();
    let fetched = store.fetch(&wanted, &from(Source::Oci), &heard).await.unwrap();
    assert_eq!(fs::read_to_string(&fetched.path).unwrap(), right);
    assert_eq!(fetched.digest.unwrap(), digest(right.as_bytes()));
    assert_eq!(fetched.source, Origin::Oci { reference: registry.reference("tool:v1.2.3"), digest: ours });
    let events = heard.events();
    let Event::Started { total: Some(total), .. } = events[0] else { panic!("{events:?}") };
    let arrived: u64 = events.iter().map(|event| if let Event::Advanced { amount } = event { *amount } else { 0 }).sum();
    assert_eq!(arrived, total);

    let foreign = FetchOptions { platform: other, ..from(Source::Oci) };
    let fetched = store.fetch(&wanted, &foreign, &NoProgress).await.unwrap();
    assert_eq!(fs::read_to_string(&fetched.path).unwrap(), wrong);
    let none = FetchOptions { platform: Platform { os: "plan9".to_owned(), architecture: "386".to_owned() }, ..from(Source::Oci) };
    let error = store.fetch(&wanted, &none, &NoProgress).await.unwrap_err().to_string();
    assert!(error.contains("is not made for plan9/386, only for: linux/"), "{error}");

    // The registry is not needed any more.
    drop(registry);
    let again = store.fetch(&wanted, &from(Source::Auto), &NoProgress).await.unwrap();
    assert!(again.cached);
}

#[tokio::test]
async fn whiteouts_and_missing_files_and_tags_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start(folder.path()).await;
    let text = script("tool", "v1.2.3");
    let below =
        tar(&[Entry::File("opt/tool", text.as_bytes()), Entry::File("opt/kept", text.as_bytes()), Entry::HardLink("again", "opt/tool")]);
    let above = tar(&[Entry::File("opt/.wh.tool", b"")]);
    registry.push("tool:v1", vec![gzip(&below), gzip(&above)]).await;
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let fetch = async |wanted: Artifact| store.fetch(&wanted, &from(Source::Oci), &NoProgress).await;

    let gone = reason(fetch(tool(registry.reference("tool:v1"), "/opt/tool")).await.unwrap_err());
    assert!(matches!(&gone, AttemptError::Image { .. }), "{gone:?}");
    for there in ["/opt/kept", "again"] {
        let fetched = fetch(tool(registry.reference("tool:v1"), there)).await.unwrap();
        assert_eq!(fs::read_to_string(&fetched.path).unwrap(), text);
    }
    for missing in ["tool:v2", "nothing:v1"] {
        let error = reason(fetch(tool(registry.reference(missing), "/opt/kept")).await.unwrap_err());
        assert!(matches!(&error, AttemptError::Oci(OciError::NotFound { what, .. }) if what.ends_with(missing)), "{error:?}");
    }
    let error = reason(fetch(tool("not a reference".to_owned(), "/opt/kept")).await.unwrap_err());
    assert!(matches!(&error, AttemptError::Oci(OciError::Reference { .. })), "{error:?}");
}

#[tokio::test]
async fn an_image_with_another_version_in_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start(folder.path()).await;
    registry.push("tool:v1", vec![gzip(&tar(&[Entry::File("tool", script("tool", "v1.2.4").as_bytes())]))]).await;
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let wanted = tool(registry.reference("tool:v1"), "tool");
    let error = reason(store.fetch(&wanted, &from(Source::Oci), &NoProgress).await.unwrap_err());
    assert!(matches!(&error, AttemptError::WrongVersion { reason } if reason.contains("it says: tool v1.2.4")), "{error:?}");
    assert_eq!(files(&folder.path().join("cache/blobs")).len(), 0);
}

#[tokio::test]
async fn what_a_registry_changed_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start(folder.path()).await;
    let layer = plain(tar(&[Entry::File("tool", script("tool", "v1.2.3").as_bytes())]));
    let (layer_digest, mut changed) = (digest(&layer.data), layer.data.to_vec());
    let manifest = registry.push("tool:v1", vec![layer]).await;
    let place = changed.windows(6).position(|bytes| bytes == b"v1.2.3").unwrap();
    changed[place + 5] = b'4';
    fs::write(registry.stored(&layer_digest), &changed).unwrap();
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let wanted = tool(registry.reference("tool:v1"), "tool");
    let error = reason(store.fetch(&wanted, &from(Source::Oci), &NoProgress).await.unwrap_err());
    assert!(matches!(&error, AttemptError::Oci(OciError::Mismatch { digest, .. }) if *digest == layer_digest), "{error:?}");
    assert_eq!(files(&folder.path().join("cache")).iter().filter(|file| !file.starts_with(folder.path().join("cache/locks"))).count(), 0);

    // The same for the manifest, asked for by its digest.
    let stored = registry.stored(&manifest);
    fs::write(&stored, fs::read_to_string(&stored).unwrap().replace("schemaVersion\":2", "schemaVersion\":2 ")).unwrap();
    let wanted = tool(registry.reference(&format!("tool@{manifest}")), "tool");
    let error = reason(store.fetch(&wanted, &from(Source::Oci), &NoProgress).await.unwrap_err());
    assert!(matches!(&error, AttemptError::Oci(OciError::Mismatch { .. } | OciError::Registry { .. })), "{error:?}");
}

/// A proxy on loopback that breaks the answers to some requests for blobs.
struct BadLine {
    address: String,
    /// The `Range` headers of the requests for blobs.
    ranges: Arc<Mutex<Vec<String>>>,
}

impl BadLine {
    /// Closes the connection after `after` bytes of the answer, `times` times; without `ranges`, each answer starts at the beginning.
    fn to(registry: &str, times: usize, after: usize, ranges: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (registry, left, seen) = (registry.to_owned(), AtomicUsize::new(times), Arc::new(Mutex::new(Vec::new())));
        let asked = seen.clone();
        // Lives as long as the test's process; it is idle once the test is over.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let head = request_head(&mut client);
                let blob = head.contains("/blobs/");
                let mut answer = Vec::new();
                let mut upstream = TcpStream::connect(&registry).unwrap();
                let mut passed = String::new();
                for line in head.lines().filter(|line| !line.is_empty()) {
                    let name = line.to_ascii_lowercase();
                    if name.starts_with("range:") && blob {
                        asked.lock().unwrap().push(line[6..].trim().to_owned());
                    }
                    if !(name.starts_with("connection:") || name.starts_with("range:") && !ranges) {
                        passed.push_str(&format!("{line}\r\n"));
                    }
                }
                upstream.write_all(format!("{passed}Connection: close\r\n\r\n").as_bytes()).unwrap();
                upstream.read_to_end(&mut answer).unwrap();
                if blob && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
                    answer.truncate(body + after);
                }
                // The client may have gone away.
                let _ = client.write_all(&answer);
            }
        });
        Self { address, ranges: seen }
    }
}

fn request_head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Pushes a tool of some size and fetches it over a bad line, named as in a registry that only a mirror can reach.
async fn over_a_bad_line(folder: &Path, times: usize, ranges: bool) -> (Result<usize, AttemptError>, Vec<String>) {
    let registry = TestRegistry::start(folder).await;
    let text = script("tool", "v1.2.3") + &"# filler\n".repeat(2000);
    registry.push("prefix/tool:v1", vec![plain(tar(&[Entry::File("tool", text.as_bytes())]))]).await;
    let line = BadLine::to(&registry.address, times, 5000, ranges);
    let mirrors = format!("registry.test=http://{}/prefix", line.address).parse().unwrap();
    let store = Store::open(&folder.join("cache")).unwrap();
    let wanted = tool("registry.test/tool:v1".to_owned(), "tool");
    let fetched = store.fetch(&wanted, &FetchOptions { mirrors, ..from(Source::Oci) }, &NoProgress).await;
    let ranges = line.ranges.lock().unwrap().clone();
    (fetched.map(|fetched| fs::read(fetched.path).unwrap().len() - text.len()).map_err(reason), ranges)
}

#[tokio::test]
async fn a_broken_download_is_taken_up_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (fetched, ranges) = over_a_bad_line(folder.path(), 2, true).await;
    assert_eq!(fetched.unwrap(), 0);
    assert_eq!(ranges, ["bytes=0-", "bytes=5000-", "bytes=10000-"]);
}

#[tokio::test]
async fn a_broken_download_is_taken_up_also_where_the_registry_only_starts_at_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let (fetched, ranges) = over_a_bad_line(folder.path(), 1, false).await;
    assert_eq!(fetched.unwrap(), 0);
    assert_eq!(ranges, ["bytes=0-", "bytes=5000-"]);
}

#[tokio::test]
async fn a_download_that_keeps_breaking_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (fetched, ranges) = over_a_bad_line(folder.path(), usize::MAX, false).await;
    assert!(matches!(fetched, Err(AttemptError::Oci(OciError::Broken { got: 5000, .. }))), "{fetched:?}");
    assert_eq!(ranges.len(), 4);
}

#[tokio::test]
async fn a_registry_out_of_reach_is_skipped_for_the_build() {
    let folder = tempfile::tempdir().unwrap();
    let mut tiny = TinyGo::new(folder.path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    tiny.artifact.image = Some(ImageSource { reference: format!("{port}/tiny:v1"), file: "tiny".to_owned() });
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let heard = Heard::default();
    let fetched = store.fetch(&tiny.artifact, &tiny.options(Source::Auto), &heard).await.unwrap();
    assert!(matches!(fetched.source, Origin::Go { .. }));
    assert!(heard.messages().contains(&format!("oci did not work: registry {port} cannot be reached")), "{}", heard.messages());
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_never_answers_is_given_up() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let reference = format!("{}/tool:v1", deaf.local_addr().unwrap());
    let began = tokio::time::Instant::now();
    let error = Registry::connect(&reference, &"".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error:?}");
    // 15 s for the answer, and up to 10 s before that for a credential helper: the clock of this test runs ahead of it.
    assert!(began.elapsed().as_secs() <= 25, "{:?}", began.elapsed());
}

#[tokio::test]
async fn dockers_credentials_open_a_private_registry() {
    let folder = tempfile::tempdir().unwrap();
    let text = script("tool", "v1.2.3");
    let public = TestRegistry::start(folder.path()).await;
    public.push("private/tool:v1", vec![gzip(&tar(&[Entry::File("tool", text.as_bytes())]))]).await;
    drop(public);
    // The password is "open sesame".
    fs::write(folder.path().join("htpasswd"), "ali:$2b$04$865f/DtWzs7Jnw7IUy/rWeLOuPZhgDhGuIgAzCX8pHnXhTyjS8EYe\n").unwrap();
    let auth = format!("auth:\n  htpasswd:\n    realm: cave\n    path: {}\n", folder.path().join("htpasswd").display());
    let private = TestRegistry::start_with(folder.path(), &auth).await;
    let wanted = tool(private.reference("private/tool:v1"), "tool");
    let docker = folder.path().join("docker");
    fs::create_dir(&docker).unwrap();
    let fetch = || {
        let mut process = fetch_process(&folder.path().join("cache"), &wanted, Source::Oci);
        let output = process.env("DOCKER_CONFIG", &docker).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let said = fetch();
    assert!(said.contains(&format!("refuses private/tool: log in with `docker login {}`", private.address)), "{said}");
    // base64 of "ali:open sesame".
    let config = format!("{{\"auths\":{{\"{}\":{{\"auth\":\"YWxpOm9wZW4gc2VzYW1l\"}}}}}}", private.address);
    fs::write(docker.join("config.json"), config).unwrap();
    let said = fetch();
    assert!(said.lines().last().unwrap().starts_with("fetched /"), "{said}");
    // A helper that does not work is named when it mattered.
    fs::write(docker.join("config.json"), "{\"credsStore\":\"capstead-test-none\"}").unwrap();
    fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let said = fetch();
    assert!(said.contains("log in with `docker login") && said.contains("Docker's"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_run_pulled_the_waiting_one_takes() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start(folder.path()).await;
    registry.push("tool:v1", vec![gzip(&tar(&[Entry::File("tool", script("tool", "v1.2.3").as_bytes())]))]).await;
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let wanted = tool(registry.reference("tool:v1"), "tool");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, wanted) = (store.clone(), wanted.clone());
            tokio::spawn(async move { store.fetch(&wanted, &from(Source::Oci), &NoProgress).await.unwrap().cached })
        })
        .collect();
    let mut pulled = 0;
    for task in tasks {
        pulled += usize::from(!task.await.unwrap());
    }
    assert_eq!(pulled, 1);
}

#[tokio::test]
async fn the_go_source_does_not_take_what_came_from_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let registry = TestRegistry::start(folder.path()).await;
    registry.push("tiny:v1", vec![gzip(&tar(&[Entry::File("tiny", script("tiny", "v1.2.3").as_bytes())]))]).await;
    let mut tiny = TinyGo::new(folder.path());
    tiny.artifact.image = Some(ImageSource { reference: registry.reference("tiny:v1"), file: "tiny".to_owned() });
    let store = Store::open(&folder.path().join("cache")).unwrap();
    let pulled = store.fetch(&tiny.artifact, &tiny.options(Source::Auto), &NoProgress).await.unwrap();
    assert!(matches!(pulled.source, Origin::Oci { .. }));
    let failing = FetchOptions { search_path: Some(go_that_first(folder.path(), "exit 7")), ..tiny.options(Source::Go) };
    let error = reason(store.fetch(&tiny.artifact, &failing, &NoProgress).await.unwrap_err());
    assert!(error.to_string().contains("exit status: 7"), "{error}");
    let built = store.fetch(&tiny.artifact, &tiny.options(Source::Go), &NoProgress).await.unwrap();
    assert!(!built.cached && matches!(built.source, Origin::Go { .. }));
}
