use super::*;

fn etcd() -> Artifact {
    Artifact {
        name: "etcd".to_owned(),
        version: "v3.6.14".to_owned(),
        itself: false,
        probe: Some(Probe { args: vec!["--version".to_owned()], pattern: "etcd Version: {bareVersion}".to_owned() }),
        image: Some(ImageSource { reference: "registry.test/etcd:{bareVersion}-0".to_owned(), file: "/usr/local/bin/etcd".to_owned() }),
        go: Some(GoSource {
            module: "etcd-3.6".to_owned(),
            package: "go.etcd.io/etcd/server/v3".to_owned(),
            ldflags: String::new(),
            cgo: false,
        }),
    }
}

#[test]
fn it_is_written_in_camel_case_and_read_back() {
    let json = serde_json::to_value(etcd()).unwrap();
    assert_eq!(json["probe"]["pattern"], "etcd Version: {bareVersion}");
    assert_eq!(json["go"], serde_json::json!({ "module": "etcd-3.6", "package": "go.etcd.io/etcd/server/v3" }));
    assert_eq!(serde_json::from_value::<Artifact>(json).unwrap(), etcd());
}

#[test]
fn a_misspelt_field_is_refused() {
    let error = serde_json::from_str::<Artifact>(r#"{"name":"a","version":"v1","imgae":null}"#).unwrap_err();
    assert!(error.to_string().contains("imgae"), "{error}");
}

#[test]
fn both_forms_of_the_version_are_expanded() {
    let artifact = etcd();
    assert_eq!(artifact.expand("a:{version} b:{bareVersion} {other}"), "a:v3.6.14 b:3.6.14 {other}");
    let bare = Artifact { version: "3.6.14".to_owned(), ..artifact };
    assert_eq!(bare.expand("{version} {bareVersion}"), "3.6.14 3.6.14");
}

#[test]
fn a_name_is_one_path_component() {
    for name in ["", ".", "..", "a/b", "/a", "a\0b"] {
        let artifact = Artifact { name: name.to_owned(), ..etcd() };
        assert_eq!(artifact.validate(), Err(ArtifactError::Name { name: name.to_owned() }));
    }
    assert_eq!(etcd().validate(), Ok(()));
    assert!(Artifact { version: String::new(), ..etcd() }.validate().is_err());
}

#[test]
fn sources_are_written_as_they_are_read() {
    for source in Source::ALL {
        assert_eq!(source.to_string().parse(), Ok(source));
        assert_eq!(serde_json::to_value(source).unwrap(), source.as_str());
    }
    assert_eq!("docker".parse::<Source>().unwrap_err().to_string(), "`docker` is not a source: use auto, path, oci or go");
}
