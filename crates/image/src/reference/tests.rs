use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Reference, ParseReferenceError> {
    text.parse()
}

const HEX: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn references_to_registries_are_read() {
    let Reference::Registry(read) = parse(" \u{7}ghcr.io/liquidmetal-dev/ubuntu:22.04\n\0").unwrap() else { panic!() };
    let tag = Some("22.04".to_owned());
    let expected = RegistryReference { host: "ghcr.io".into(), repository: "liquidmetal-dev/ubuntu".into(), tag, digest: None };
    assert_eq!(read, expected);
    let full = format!("127.0.0.1:5000/a/b_c/d--e:v1@{HEX}");
    let Reference::Registry(read) = parse(&full).unwrap() else { panic!() };
    assert_eq!((read.host.as_str(), read.digest.unwrap().to_string().as_str()), ("127.0.0.1:5000", HEX));
    for text in ["localhost/x", "registry:5000/x", "[::1]:5000/x", "[fd00::1]/x", "a.b/x@sha256", "A.example/x"] {
        let read = parse(text);
        assert_eq!(read.is_ok(), !text.contains('@'), "{text}: {read:?}");
    }
}

#[test]
fn references_to_files_are_read() {
    let path = |text: &str| PathBuf::from(text);
    let cases = [
        ("oci:/srv/os", Reference::OciLayout { path: path("/srv/os"), tag: None }),
        ("oci:/srv//os/:v1", Reference::OciLayout { path: path("/srv/os"), tag: Some("v1".to_owned()) }),
        ("oci-archive:/a b.tar:x", Reference::OciArchive { path: path("/a b.tar"), tag: Some("x".to_owned()) }),
        ("docker-archive:/a.tar", Reference::DockerArchive { path: path("/a.tar"), tag: None }),
        ("file:/boot/vmlinuz", Reference::File { path: path("/boot/vmlinuz") }),
    ];
    for (text, expected) in cases {
        let read = parse(text).unwrap();
        assert_eq!(read, expected, "{text}");
        assert!(read.is_local());
    }
}

#[test]
fn what_is_no_reference_says_why() {
    use ParseReferenceError as E;
    assert_eq!(parse(" \t\n"), Err(E::Empty));
    assert!(matches!(parse("https://ghcr.io/a/b"), Err(E::Url { .. })));
    assert!(matches!(parse("file:///etc/shadow"), Err(E::Url { .. })));
    for text in ["ubuntu", "ubuntu:22.04", "library/ubuntu", "/x", "a b/c"] {
        assert!(matches!(parse(text), Err(E::Host { .. })), "{text}");
    }
    let parts = [
        ("a..b/x", "the host"),
        ("a.b:0/x", "the host"),
        ("a.b:99999/x", "the host"),
        ("a.b:/x", "the host"),
        ("-a.b/x", "the host"),
        ("a.b\u{1b}[31m/x", "the host"),
        ("user@a.b/x", "the host"),
        ("[::1/x", "the host"),
        ("a.b/", "the repository"),
        ("a.b/X", "the repository"),
        ("a.b/x//y", "the repository"),
        ("a.b/../y", "the repository"),
        ("a.b/x/../../y", "the repository"),
        ("a.b/x___y", "the repository"),
        ("a.b/x?y", "the repository"),
        ("a.b/x%2e%2e", "the repository"),
        ("a.b/x:", "the tag"),
        ("a.b/x:.y", "the tag"),
        ("a.b/x:y:z", "the tag"),
        ("a.b/x:../y", "the tag"),
        ("a.b/x@md5:00", "the digest"),
        ("a.b/x@sha256:00", "the digest"),
    ];
    for (text, part) in parts {
        assert!(matches!(parse(text), Err(E::Part { part: found, .. }) if found == part), "{text}: {:?}", parse(text));
    }
    for text in ["oci:dir", "oci:", "file:../x", "file:/a/../b", "file:/", "file:/./", "file:/a:b", "oci:/a\nb", "oci-archive:/a:b:c"] {
        assert!(matches!(parse(text), Err(E::Path { .. })), "{text}: {:?}", parse(text));
    }
    assert!(matches!(parse(&"a".repeat(5000)), Err(E::Long { length: 5000 })));
    assert!(parse("a.b\u{1b}[31m/x").unwrap_err().to_string().contains("\\u{1b}"));
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(
        text in "(([a-z]{1,3}\\.[a-z]{1,3}|localhost|\\[::1\\])(:[1-9][0-9]{0,3})?/[a-z0-9._/-]{1,12}|(oci|file|oci-archive|docker-archive):/[a-zA-Z0-9 ./_-]{1,12})(:[a-zA-Z0-9._-]{1,5})?(@sha256:[0-9a-f]{64})?",
    ) {
        if let Ok(reference) = parse(&text) {
            let printed = reference.to_string();
            prop_assert_eq!(parse(&printed), Ok(reference), "{}", printed);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[a-z:/@.\\[\\]]{0,20}") {
        if let Ok(reference) = parse(&text) {
            prop_assert!(reference.to_string().split('/').all(|part| part != ".."), "{reference}");
        }
    }
}
