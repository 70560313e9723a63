use super::*;

fn key() -> Digest {
    Digest::of(b"step")
}

/// The right to make the step.
async fn to_make(cache: &Cache) -> Making {
    match cache.take(&key(), || {}).await.unwrap() {
        Taken::ToMake(making) => making,
        Taken::There(folder) => panic!("{} is there", folder.display()),
    }
}

/// The folder of the step, which is there.
async fn there(cache: &Cache) -> PathBuf {
    match cache.take(&key(), || {}).await.unwrap() {
        Taken::There(folder) => folder,
        Taken::ToMake(_) => panic!("it is not there"),
    }
}

#[tokio::test]
async fn a_result_has_its_name_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let making = to_make(&cache).await;
    fs::write(making.result().join("layer.tar"), "half").unwrap();
    assert!(cache.get(&key()).is_none() && cache.lacks(&key()));
    drop(making);
    assert_eq!(fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
    let making = to_make(&cache).await;
    assert_eq!(fs::read_dir(making.result()).unwrap().count(), 0);
    fs::write(making.result().join("layer.tar"), "whole").unwrap();
    let path = making.finish().unwrap();
    assert_eq!(cache.get(&key()), Some(path.clone()));
    assert_eq!(fs::read_to_string(path.join("layer.tar")).unwrap(), "whole");
    assert_eq!(there(&cache).await, path);
    assert!(!cache.lacks(&key()));
}

#[tokio::test]
async fn of_two_builds_one_waits_and_takes_what_the_other_made() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let making = to_make(&cache).await;
    let (said, hears) = std::sync::mpsc::channel();
    let other = cache.clone();
    let waiting = tokio::spawn(async move { matches!(other.take(&key(), || said.send(()).unwrap()).await.unwrap(), Taken::There(_)) });
    let heard = tokio::task::spawn_blocking(move || hears.recv_timeout(Duration::from_secs(30)).is_ok());
    assert!(heard.await.unwrap());
    // A third that only opens the cache leaves a living build's work alone.
    Cache::open(folder.path()).unwrap();
    assert!(making.result().is_dir());
    making.finish().unwrap();
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn what_is_made_anew_takes_the_place_of_what_was_there_and_nobody_builds_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let making = to_make(&cache).await;
    fs::write(making.result().join("layer.tar"), "old").unwrap();
    making.finish().unwrap();

    let first = cache.clone().build(false, || {}).await.unwrap();
    let second = cache.clone().build(false, || {}).await.unwrap();
    let (said, hears) = std::sync::mpsc::channel();
    let alone = tokio::spawn(cache.clone().build(true, move || said.send(()).unwrap()));
    let heard = tokio::task::spawn_blocking(move || hears.recv_timeout(Duration::from_secs(30)).is_ok());
    assert!(heard.await.unwrap() && !alone.is_finished());
    drop((first, second));
    let alone = alone.await.unwrap().unwrap();
    assert!(alone.lacks(&key()));
    let making = to_make(&alone).await;
    fs::write(making.result().join("layer.tar"), "new").unwrap();
    let path = making.finish().unwrap();
    assert_eq!(fs::read_to_string(path.join("layer.tar")).unwrap(), "new");
    assert_eq!(fs::read_dir(folder.path().join("work")).unwrap().count(), 0);
    let lock = cache.lock_file(BUILDS).unwrap();
    assert!(matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)));
    drop(alone);
    lock.try_lock_shared().unwrap();
    assert_eq!(there(&cache).await, path);
}

#[tokio::test]
async fn what_a_dead_build_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let left = folder.path().join("work").join(key().hex());
    let output = cache.output().join("output-x");
    fs::create_dir_all(left.join("result")).unwrap();
    fs::create_dir_all(&output).unwrap();
    let living = cache.build(false, || {}).await.unwrap();
    Cache::open(folder.path()).unwrap();
    assert!(!left.exists() && output.exists());
    drop(living);
    Cache::open(folder.path()).unwrap();
    assert!(!output.exists());
}

#[test]
fn looking_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("cache");
    assert!(Cache::at(&root).lacks(&key()));
    assert!(!root.exists());
}
