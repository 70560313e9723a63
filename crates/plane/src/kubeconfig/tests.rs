use super::*;

fn ours(dir: &Path, server: &str, authority: &str) -> PathBuf {
    let path = dir.join("ours");
    let pair = Pair { certificate: "cert".into(), key: "key".into() };
    write_private(&path, render("capstead-default", server, authority, &pair).expect("renders").as_bytes()).expect("written");
    path
}

fn names(path: &Path) -> (Vec<String>, String) {
    let config: Config = yaml_serde::from_str(&std::fs::read_to_string(path).expect("there")).expect("a kubeconfig");
    let current = config.rest["current-context"].as_str().unwrap_or_default().to_owned();
    (config.contexts.into_iter().map(|entry| entry.name).collect(), current)
}

const THEIRS: &str = "apiVersion: v1\nkind: Config\npreferences: {colors: true}\ncurrent-context: work\n\
    clusters: [{name: work, cluster: {server: https://work}}]\nusers: [{name: work, user: {token: t}}]\ncontexts: [{name: work, context: {cluster: work, user: work}}]\n";

#[test]
fn merging_keeps_what_is_there_and_can_be_done_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let into = dir.path().join("deep/config");
    merge(&ours(dir.path(), "https://127.0.0.1:1", "ca"), &into).expect("into nothing");
    assert_eq!(names(&into), (vec!["capstead-default".into()], "capstead-default".into()));

    std::fs::write(&into, THEIRS).expect("written");
    merge(&ours(dir.path(), "https://127.0.0.1:1", "ca"), &into).expect("merged");
    merge(&ours(dir.path(), "https://127.0.0.1:2", "ca"), &into).expect("merged again, from another port");
    assert_eq!(names(&into), (vec!["work".into(), "capstead-default".into()], "capstead-default".into()));
    let text = std::fs::read_to_string(&into).expect("there");
    assert!(
        text.contains("colors: true")
            && text.contains("token: t")
            && text.contains("https://127.0.0.1:2")
            && !text.contains("127.0.0.1:1\n"),
        "{text}"
    );
}

#[test]
fn another_clusters_entries_are_not_replaced() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let into = dir.path().join("config");
    merge(&ours(dir.path(), "https://127.0.0.1:1", "another authority"), &into).expect("into nothing");
    let before = std::fs::read_to_string(&into).expect("there");
    let error = merge(&ours(dir.path(), "https://127.0.0.1:1", "ca"), &into).expect_err("refused");
    assert!(error.to_string().contains("a cluster named \"capstead-default\" that another cluster made"), "{error}");
    assert_eq!(std::fs::read_to_string(&into).expect("there"), before);
}

#[test]
fn a_file_that_is_no_kubeconfig_is_left_alone() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let into = dir.path().join("config");
    std::fs::write(&into, "clusters: 7").expect("written");
    let error = merge(&ours(dir.path(), "https://127.0.0.1:1", "ca"), &into).expect_err("refused");
    assert!(error.to_string().ends_with("config is not a kubeconfig; it was left as it is"), "{error}");
    assert_eq!(std::fs::read_to_string(&into).expect("there"), "clusters: 7");
}

#[test]
fn a_symbolic_link_stays_one() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::write(&real, THEIRS).expect("written");
    std::os::unix::fs::symlink(&real, &link).expect("linked");
    merge(&ours(dir.path(), "https://127.0.0.1:1", "ca"), &link).expect("merged");
    assert!(link.is_symlink());
    assert_eq!(names(&real).0.len(), 2);
}
