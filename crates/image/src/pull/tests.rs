use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use capstead_artifact::NoProgress;
use serde_json::{Value, json};

use super::*;
use crate::Digest;
use crate::testing::{Layer, debugfs};

#[path = "../../tests/support/layout.rs"]
mod layout;

fn layers() -> Vec<Vec<u8>> {
    vec![Layer::default().file("a", b"below").file("b", b"hidden").gzip(), Layer::default().file(".wh.b", b"").file("c", b"above").zstd()]
}

fn index_of(manifest: &[u8], tag: &str) -> Value {
    let host = Platform::host();
    let mut entry = layout::descriptor(manifest, layout::MANIFEST);
    entry["platform"] = json!({ "os": host.os, "architecture": host.architecture });
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    let mut other = entry.clone();
    other["platform"]["architecture"] = "m68k".into();
    json!({ "schemaVersion": 2, "mediaType": layout::INDEX, "manifests": [other, entry] })
}

/// By path: the media type, and the body.
type Answers = Mutex<BTreeMap<String, (String, Vec<u8>)>>;

/// A registry on loopback that answers what it was told to, whether it is true or not.
struct Registry {
    address: String,
    answers: Arc<Answers>,
    blobs_sent: Arc<AtomicUsize>,
}

impl Registry {
    fn start(layers: &[Vec<u8>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (parts, manifest) = layout::parts(layers);
        let mut answers = BTreeMap::from([("/v2/".to_owned(), ("text/plain".to_owned(), Vec::new()))]);
        for (digest, bytes) in parts {
            answers.insert(format!("/v2/os/manifests/{digest}"), (layout::MANIFEST.to_owned(), bytes.clone()));
            answers.insert(format!("/v2/os/blobs/{digest}"), ("application/octet-stream".to_owned(), bytes));
        }
        let index = index_of(&manifest, "v1").to_string().into_bytes();
        answers.insert("/v2/os/manifests/v1".to_owned(), (layout::INDEX.to_owned(), index));
        let (answers, blobs_sent) = (Arc::new(Mutex::new(answers)), Arc::new(AtomicUsize::new(0)));
        let (shared, count) = (answers.clone(), blobs_sent.clone());
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, count) = (shared.clone(), count.clone());
                std::thread::spawn(move || serve(stream, &shared, &count));
            }
        });
        Self { address, answers, blobs_sent }
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}/os{rest}", self.address).parse().unwrap()
    }

    fn lie(&self, path: &str, bytes: Vec<u8>) {
        self.answers.lock().unwrap().get_mut(path).unwrap().1 = bytes;
    }
}

fn serve(stream: TcpStream, answers: &Answers, blobs_sent: &AtomicUsize) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut stream = stream;
    while let Some(Ok(first)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let found = answers.lock().unwrap().get(&path).cloned();
        let (status, (media_type, body)) = match found {
            Some(answer) => ("200 OK", answer),
            None => ("404 Not Found", ("application/json".to_owned(), b"{}".to_vec())),
        };
        if path.contains("/blobs/") {
            blobs_sent.fetch_add(1, Ordering::SeqCst);
        }
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("store")).unwrap()
}

async fn get(store: &Store, reference: &Reference) -> Result<Image, PullError> {
    pull(store, reference, &PullOptions::default(), &NoProgress).await
}

/// What is left besides locks.
fn left(store: &Store) -> Vec<PathBuf> {
    let folders = ["blobs/sha256", "images", "disks", "files", "work"];
    folders.iter().flat_map(|folder| fs::read_dir(store.root().join(folder)).unwrap().map(|entry| entry.unwrap().path())).collect()
}

fn check_disk(store: &Store, image: &Image) {
    let disk = store.disk(image, Some(16), Limits::default()).unwrap();
    assert_eq!((debugfs(&disk.path, "cat a").as_str(), debugfs(&disk.path, "cat c").as_str()), ("below", "above"));
    assert!(!debugfs(&disk.path, "ls -p /").contains("/b/"));
}

#[tokio::test]
async fn an_image_comes_out_of_a_registry_once() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(&layers());
    let store = store(&folder);
    let reference = registry.reference(":v1");
    let heard = Mutex::new(Vec::new());
    let hear = |name: &str, event: Event| heard.lock().unwrap().push((name.to_owned(), event));
    let options = PullOptions::default();
    // Two at once share the work.
    let (first, second) = tokio::join!(pull(&store, &reference, &options, &hear), pull(&store, &reference, &options, &hear));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    assert_eq!(registry.blobs_sent.load(Ordering::SeqCst), 3);
    check_disk(&store, &first);
    let heard = heard.into_inner().unwrap();
    let total: u64 = heard.iter().map(|(_, event)| if let Event::Advanced { amount } = event { *amount } else { 0 }).sum();
    assert_eq!(total, first.size);
    assert!(heard.iter().all(|(name, _)| *name == reference.to_string()));

    // What is there is not asked for again, unless that is wanted; parts that are there never are.
    let by_digest = registry.reference(&format!("@{}", first.stored.digest()));
    assert_eq!(get(&store, &by_digest).await.unwrap().stored, first.stored);
    let always = PullOptions { always: true, ..PullOptions::default() };
    pull(&store, &reference, &always, &NoProgress).await.unwrap();
    assert_eq!(registry.blobs_sent.load(Ordering::SeqCst), 3);
    registry.answers.lock().unwrap().clear();
    assert_eq!(get(&store, &reference).await.unwrap().stored, first.stored);
    assert!(pull(&store, &reference, &always, &NoProgress).await.is_err());
}

#[tokio::test]
async fn a_registry_that_lies_is_refused_and_leaves_nothing() {
    let layers = layers();
    let (_, manifest) = layout::parts(&layers);
    let layer = format!("/v2/os/blobs/{}", Digest::of(&layers[0]));
    let by_digest = format!("/v2/os/manifests/{}", Digest::of(&manifest));
    let mut other = layers[0].clone();
    other[20] ^= 1;
    let (longer, shorter) = ([&layers[0][..], b"more"].concat(), layers[0][..10].to_vec());
    let config = layout::parts(&[]).1;
    let lies = [(&layer, other), (&layer, longer), (&layer, shorter), (&by_digest, config), (&by_digest, b"{}".to_vec())];
    for (number, (path, bytes)) in lies.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (registry, store) = (Registry::start(&layers), store(&folder));
        registry.lie(path, bytes);
        let error = get(&store, &registry.reference(":v1")).await.unwrap_err();
        assert!(matches!(error, PullError::Registry { .. } | PullError::Store { .. }), "{number}: {error}");
        assert_eq!(store.list().unwrap(), [], "{number}");
        // Parts that were right may stay, and go with the next pruning.
        store.prune(&crate::store::InUse::default(), false).unwrap();
        assert_eq!(left(&store), Vec::<PathBuf>::new(), "{number}");
    }
}

#[tokio::test]
async fn manifests_that_make_no_sense_are_refused_and_leave_nothing() {
    let layers = layers();
    let (_, manifest) = layout::parts(&layers);
    let changed = |at: &str, value: Value| {
        let mut changed: Value = serde_json::from_slice(&manifest).unwrap();
        *changed.pointer_mut(at).unwrap() = value;
        changed.to_string().into_bytes()
    };
    let layer = serde_json::from_slice::<Value>(&manifest).unwrap()["layers"][0].clone();
    let cases = [
        ("a size past 64 bits", changed("/layers/0/size", json!(1.9e19))),
        ("the largest size of 64 bits", changed("/layers/0/size", json!(u64::MAX))),
        (
            "sizes that are past 64 bits together",
            changed(
                "/layers",
                json!(vec![
                    {
                        let mut layer = layer.clone();
                        layer["size"] = json!(i64::MAX);
                        layer
                    };
                    4
                ]),
            ),
        ),
        ("a negative size", changed("/layers/0/size", json!(-1))),
        ("a size in words", changed("/config/size", json!("2"))),
        ("a digest that climbs", changed("/layers/0/digest", json!("sha256:../../../../../../etc/passwd"))),
        (
            "a digest that climbs, of the right length",
            changed("/layers/0/digest", json!(format!("sha256:{}", "../".repeat(22).split_at(64).0))),
        ),
        ("a digest in capitals", changed("/layers/0/digest", json!(layer["digest"].as_str().unwrap().to_uppercase()))),
        ("a digest of another kind", changed("/config/digest", json!(format!("sha512:{}", "0".repeat(128))))),
        ("no digest", changed("/config/digest", json!(""))),
        ("layers that are none", changed("/layers", json!({"0": layer}))),
        ("too many layers", changed("/layers", json!(vec![layer; 1001]))),
        ("no manifest", b"<html>Please log in</html>".to_vec()),
        ("nothing", Vec::new()),
        ("a manifest without end", vec![b' '; 5 << 20]),
        ("a manifest without bottom", b"[".repeat(1 << 20)),
    ];
    for (name, bytes) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (registry, store) = (Registry::start(&layers), store(&folder));
        registry.answers.lock().unwrap().insert("/v2/os/manifests/v1".to_owned(), (layout::MANIFEST.to_owned(), bytes));
        let error = get(&store, &registry.reference(":v1")).await.expect_err(name);
        let told = told(&error);
        assert!(told.contains(&registry.address) && told.len() < 1000, "{name}: {told}");
        assert_eq!(registry.blobs_sent.load(Ordering::SeqCst), 0, "{name}: {told}");
        assert_eq!((store.list().unwrap(), left(&store)), (Vec::new(), Vec::new()), "{name}: {told}");
    }
}

#[tokio::test]
async fn a_registry_that_lies_about_what_was_asked_for_is_refused() {
    let layers = layers();
    let (_, manifest) = layout::parts(&layers);
    let folder = tempfile::tempdir().unwrap();
    let (registry, store) = (Registry::start(&layers), store(&folder));
    // Another image under the digest that was asked for.
    let wanted = Digest::of(b"another image");
    registry.answers.lock().unwrap().insert(format!("/v2/os/manifests/{wanted}"), (layout::MANIFEST.to_owned(), manifest));
    let error = get(&store, &registry.reference(&format!("@{wanted}"))).await.unwrap_err();
    assert!(told(&error).contains(&wanted.to_string()), "{}", told(&error));
    // Two lengths, of which one is wrong.
    let layer = format!("/v2/os/blobs/{}", Digest::of(&layers[0]));
    let two = ("application/octet-stream\r\ncontent-length: 5".to_owned(), layers[0].clone());
    registry.answers.lock().unwrap().insert(layer, two);
    let error = get(&store, &registry.reference(":v1")).await.unwrap_err();
    assert!(matches!(error, PullError::Registry { .. }), "{}", told(&error));
    assert_eq!(store.list().unwrap(), []);
    store.prune(&crate::store::InUse::default(), false).unwrap();
    assert_eq!(left(&store), Vec::<PathBuf>::new());
}

fn told(error: &PullError) -> String {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[tokio::test]
async fn a_manifest_that_announces_too_much_is_refused_before_anything_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, store) = (Registry::start(&layers()), store(&folder));
    let options = PullOptions { limits: Limits { bytes: 100, ..Limits::default() }, ..PullOptions::default() };
    let error = pull(&store, &registry.reference(":v1"), &options, &NoProgress).await.unwrap_err();
    assert!(matches!(error, PullError::TooLarge { limit: 100, .. }), "{error}");
    assert_eq!(registry.blobs_sent.load(Ordering::SeqCst), 0);
    assert_eq!(left(&store), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn layouts_and_archives_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    layout::write_with(&layout, &layers(), |manifest| index_of(manifest, "v1"));
    let archive = folder.path().join("oci.tar");
    let packed = folder.path().join("oci.tgz");
    let tar = |flag: &str, to: &Path| {
        let status = std::process::Command::new("tar").arg(flag).arg(to).arg("-C").arg(&layout).arg(".").status().unwrap();
        assert!(status.success());
    };
    tar("-cf", &archive);
    tar("-czf", &packed);
    let mut digests = Vec::new();
    for text in
        [format!("oci:{}", layout.display()), format!("oci-archive:{}:v1", archive.display()), format!("oci-archive:{}", packed.display())]
    {
        let store = Store::open(&folder.path().join(format!("store{}", digests.len()))).unwrap();
        let image = get(&store, &text.parse().unwrap()).await.unwrap();
        assert_eq!(image.reference, text);
        check_disk(&store, &image);
        digests.push(image.stored);
    }
    assert!(digests.iter().all(|stored| *stored == digests[0]));

    let store = store(&folder);
    let wrong = get(&store, &format!("oci:{}:v2", layout.display()).parse().unwrap()).await.unwrap_err().to_string();
    assert!(wrong.contains("no image tagged v2, only: v1"), "{wrong}");
    let other = PullOptions { platform: Platform { os: "plan9".to_owned(), architecture: "386".to_owned() }, ..PullOptions::default() };
    let error = pull(&store, &format!("oci:{}", layout.display()).parse().unwrap(), &other, &NoProgress).await.unwrap_err();
    assert!(error.to_string().contains("no image for plan9/386"), "{error}");
    // A layer that is not what the manifest says.
    let layer = layout.join("blobs").join(Digest::of(&layers()[1]).to_string().replace(':', "/"));
    fs::write(&layer, b"lie").unwrap();
    let error = get(&store, &format!("oci:{}", layout.display()).parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, PullError::Store { source: StoreError::Mismatch { .. }, .. }), "{error}");
    assert_eq!(store.list().unwrap(), []);
}

#[tokio::test]
async fn what_docker_saves_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved.tar");
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["test/os:v1"], "Layers": ["1/layer.tar", "2/layer.tar"] }]);
    let plain =
        [Layer::default().file("a", b"below").file("b", b"hidden").tar(), Layer::default().file(".wh.b", b"").file("c", b"above").tar()];
    // Docker writes a layer that two images share once, and links to it.
    let saved = Layer::default()
        .file("real/layer.tar", &plain[0])
        .link("1/layer.tar", "../real/layer.tar")
        .file("2/layer.tar", &plain[1])
        .file("config.json", b"{}")
        .file("manifest.json", manifest.to_string().as_bytes());
    fs::write(&file, saved.tar()).unwrap();
    let store = store(&folder);
    let image = get(&store, &format!("docker-archive:{}:v1", file.display()).parse().unwrap()).await.unwrap();
    check_disk(&store, &image);
    assert!(get(&store, &format!("docker-archive:{}:v2", file.display()).parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn archives_made_to_harm_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, store) = (folder.path().join("evil.tar"), store(&folder));
    let archive = |manifest: Value, with: Layer| with.file("manifest.json", manifest.to_string().as_bytes()).tar();
    let index = |entry: Value| {
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        Layer::default().file("index.json", index.to_string().as_bytes()).tar()
    };
    let climbing = json!([{ "Config": "/etc/hostname", "Layers": ["../../../../etc/hostname"] }]);
    let linked = json!([{ "Config": "config.json", "Layers": ["layer.tar"] }]);
    let config = || Layer::default().file("config.json", b"{}");
    let cases = [
        ("docker-archive", "a name that climbs", archive(climbing, Layer::default()), "it has no file /etc/hostname"),
        (
            "docker-archive",
            "a link to the host",
            archive(linked.clone(), config().link("layer.tar", "/etc/hostname")),
            "it has no file layer.tar",
        ),
        (
            "docker-archive",
            "a link that climbs",
            archive(linked.clone(), config().link("layer.tar", "../../../etc/hostname")),
            "it has no file layer.tar",
        ),
        ("docker-archive", "a link to itself", archive(linked, config().link("layer.tar", "layer.tar")), "it has no file layer.tar"),
        ("docker-archive", "no manifest", Layer::default().tar(), "it has no file manifest.json"),
        ("docker-archive", "a bomb", crate::testing::bomb(), "it unpacks to more than is allowed"),
        ("oci-archive", "a digest that climbs", index(json!({ "digest": "sha256:../../../etc/passwd", "size": 1 })), "is not a digest"),
        (
            "oci-archive",
            "a size past 64 bits",
            index(json!({ "digest": Digest::of(b"").to_string(), "size": 1.9e19 })),
            "index.json cannot be read",
        ),
        (
            "oci-archive",
            "a part that is not there",
            index(json!({ "digest": Digest::of(b"").to_string(), "size": 0 })),
            "it has no file blobs/sha256/",
        ),
        ("oci-archive", "no images", Layer::default().file("index.json", b"{\"manifests\": []}").tar(), "it has no image for"),
    ];
    for (form, name, bytes, says) in cases {
        fs::write(&file, bytes).unwrap();
        let error = get(&store, &format!("{form}:{}", file.display()).parse().unwrap()).await.expect_err(name);
        assert!(matches!(error, PullError::Layout { .. }) && told(&error).contains(says), "{name}: {}", told(&error));
        assert_eq!(store.list().unwrap(), [], "{name}");
        // Parts that were right may stay, and go with the next pruning.
        store.prune(&crate::store::InUse::default(), false).unwrap();
        assert_eq!(left(&store), Vec::<PathBuf>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_raw_file_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disk.raw");
    fs::write(&file, b"raw").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(1 << 20).unwrap();
    let store = store(&folder);
    let image = get(&store, &format!("file:{}", file.display()).parse().unwrap()).await.unwrap();
    let disk = store.disk(&image, Some(5), Limits::default()).unwrap();
    assert_eq!(disk.size, 1 << 20);
    assert!(fs::read(&disk.path).unwrap().starts_with(b"raw\0"));
    assert_eq!(store.file(&image, "", Limits::default()).unwrap(), disk.path);
    assert!(matches!(store.file(&image, "vmlinux", Limits::default()), Err(StoreError::NoTree { .. })));
    for path in [folder.path().display().to_string(), "/dev/null".to_owned(), "/none".to_owned()] {
        assert!(get(&store, &format!("file:{path}").parse().unwrap()).await.is_err(), "{path}");
    }
}
