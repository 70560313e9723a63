use capstead_artifact::Artifact;
use capstead_image::Digest;
use capstead_nodeimage::forecast::ForecastBinary;
use capstead_nodeimage::forecast::ForecastStep;
use capstead_plane::builtin;

use super::*;

#[test]
fn what_nodes_and_planes_have_in_common_is_one_and_the_same() {
    let defaults = capstead_nodeimage::node_variables(None, &Platform::host(), false).expect("a default");
    let file = load(None, NODE, &Values { defaults, ..Values::default() }).expect("the built-in file").file;
    let components = builtin::components(None).expect("components").into_iter().map(|component| component.binary);
    let planes: Vec<Artifact> = components.chain(builtin::tools(None).expect("tools")).collect();
    let mut common = Vec::new();
    for binary in &file.binaries {
        if let Some(planes) = planes.iter().find(|artifact| artifact.name == binary.name) {
            // So the cache has it once for both.
            assert_eq!(binary.artifact(), *planes);
            common.push(binary.name.as_str());
        }
    }
    assert_eq!(common, ["kubectl", "kube-apiserver", "kube-controller-manager", "etcd"]);
}

#[test]
fn every_binary_of_a_node_has_its_modules() {
    let sources = Sources { source: None, bin_dir: None, registry_mirror: Vec::new() };
    let fetch = fetching(&Config::default(), &sources).expect("options");
    let defaults = capstead_nodeimage::node_variables(None, &Platform::host(), false).expect("a default");
    let file = load(None, NODE, &Values { defaults, ..Values::default() }).expect("the built-in file").file;
    for binary in &file.binaries {
        let go = binary.go.as_ref().expect("a Go package");
        assert!(fetch.modules.iter().any(|modules| modules.name == go.module), "{} needs {}", binary.name, go.module);
    }
}

#[test]
fn an_image_goes_where_it_can() {
    let here = std::env::current_dir().expect("a folder");
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().display();
    assert_eq!(target(None, "no-such-folder").expect("a folder").to_string(), format!("oci:{}/no-such-folder", here.display()));
    for free in [format!("oci:{path}"), format!("docker-archive:{path}/node.tar"), "r.test/node:1".to_owned()] {
        assert_eq!(target(Some(&free), NODE).expect("a place").to_string(), free);
    }
    std::fs::write(folder.path().join("other"), "").expect("written");
    let digest = Digest::of(b"x");
    for (text, told) in [
        ("json".to_owned(), "--output json: it says where the image goes; how the result is printed is said by -o json".to_owned()),
        (format!("oci:{path}"), format!("--output: cannot write {path}: the folder holds something that is no OCI layout")),
        (format!("docker-archive:{path}"), format!("--output: cannot write {path}: is a directory")),
        (format!("file:{path}/disk"), format!("--output: file:{path}/disk is no place for an image: write oci:DIR")),
        (format!("r.test/node@{digest}"), format!("--output: r.test/node@{digest} has a digest, which is only known when")),
        ("node".to_owned(), "--output: `node` does not name its registry".to_owned()),
    ] {
        let error = format!("{:#}", target(Some(&text), NODE).expect_err("refused"));
        assert!(error.starts_with(&told), "{text}: {error}");
    }
}

#[test]
fn a_forecast_tells_what_is_here_and_what_is_not() {
    let digest = Some(Digest::of(b"x"));
    let forecast = Forecast {
        binaries: vec![
            ForecastBinary { name: "etcd".into(), version: "v3".into(), digest: digest.clone(), from: vec!["path".into()] },
            ForecastBinary {
                name: "ctr".into(),
                version: "v2".into(),
                digest: None,
                from: vec!["OCI image x".into(), "Go build of y".into()],
            },
        ],
        steps: vec![
            ForecastStep { what: "Debian".into(), key: digest, done: true },
            ForecastStep { what: "files".into(), key: None, done: false },
        ],
        ..Forecast::default()
    };
    let text = table::foretold(&Foretold { reference: "oci:/x".into(), forecast: &forecast });
    let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[1], ["etcd", "v3", "here", "path"]);
    assert_eq!(words[2].join(" "), "ctr v2 to fetch OCI image x, else Go build of y");
    assert_eq!((words[5].join(" "), words[6].join(" ")), ("Debian done".to_owned(), "files to do".to_owned()));
    assert!(text.ends_with("\n\noci:/x would be made with 1 binaries to fetch and 1 steps to do; nothing was changed"), "{text}");
    let kernel = Forecast { steps: forecast.steps[..1].to_vec(), ..Forecast::default() };
    assert!(table::foretold(&Foretold { reference: "oci:/x".into(), forecast: &kernel }).starts_with("STEP"));
}
