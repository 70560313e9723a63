use super::*;

/// The smallest file that can be built.
const SMALL: &str = "base: {debian: {suite: bookworm}}\n";

fn parse(text: &str) -> ImageFile {
    yaml_serde::from_str(text).unwrap()
}

/// What is wrong with the smallest file and some more text.
fn wrong(more: &str) -> Vec<String> {
    parse(&format!("{SMALL}{more}")).problems().iter().map(ToString::to_string).collect()
}

#[test]
fn the_smallest_file_breaks_no_rule() {
    assert_eq!(wrong(""), Vec::<String>::new());
}

#[test]
fn each_rule_names_its_field() {
    let cases: &[(&str, &str)] = &[
        ("packages: ['a b']", "packages[0]: `a b` is no package's name"),
        ("packages: [good, \"x'; rm -rf /\"]", "packages[1]: `x'; rm -rf /` is no package's name"),
        ("kernel: {package: '-o'}", "kernel.package: `-o` is no package's name"),
        ("kernel: {package: linux, drop: [../lib]}", "kernel.drop[0]: `../lib` is no folder below kernel/"),
        ("files: [{path: etc/x, content: ''}]", "files[0].path: `etc/x` must be an absolute path without `..`, `.` and `//`"),
        ("files: [{path: /a/../b, content: ''}]", "files[0].path: `/a/../b` must be an absolute path without `..`, `.` and `//`"),
        (
            "files: [{path: /a, content: '', mode: 'rwx'}]",
            "files[0].mode: `rwx` is no mode: write octal digits in quotes, such as \"0644\"",
        ),
        (
            "files: [{path: /a, content: '', mode: '10000'}]",
            "files[0].mode: `10000` is no mode: write octal digits in quotes, such as \"0644\"",
        ),
        ("files: [{path: /a, content: '', owner: root}]", "files[0].owner: `root` is no owner: write UID:GID in numbers"),
        ("files: [{path: /a}]", "files[0]: /a needs exactly one of `content` and `source`"),
        ("files: [{path: /a, content: '', source: b}]", "files[0]: /a needs exactly one of `content` and `source`"),
        ("files: [{path: /a, content: ''}]\nlinks: [{path: /a, target: b}]", "links[0].path: /a is there twice"),
        ("links: [{path: /a, target: ''}]", "links[0].target: leads nowhere"),
        ("folders: [etc]", "folders[0]: `etc` must be an absolute path without `..`, `.` and `//`"),
        ("remove: [/]", "remove[0]: `/` must be an absolute path without `..`, `.` and `//`"),
        ("binaries: [{name: x, version: v1}]", "binaries[0]: `x` needs at least one source: `go` or `image`"),
        ("binaries: [{name: a/b, version: v1, go: {module: m, package: p}}]", "binaries[0]: `a/b` is not a file name"),
        ("units: {enable: [kubelet]}", "units.enable[0]: `kubelet` is no unit's name: it ends with its kind, such as .service"),
        ("units: {enable: [a.service], mask: [a.service]}", "units.mask[0]: a.service is there twice"),
        (
            "preload: archives\nimages: [{names: ['pause:3'], files: [{root: /pause}]}]",
            "images[0].names: `pause:3` is no name in full, such as registry.k8s.io/pause:3.10",
        ),
        ("preload: archives\nimages: [{names: ['a.io/p:3'], files: []}]", "images[0].files: needs at least one file"),
        (
            "preload: archives\nimages: [{names: ['a.io/p:3'], files: [{binary: pause, path: /pause}]}]",
            "images[0].files[0].binary: there is no `pause` in `binaries`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(wrong(text), [*expected], "{text}");
    }
}

#[test]
fn images_in_the_store_need_what_puts_them_there() {
    let text = "images: [{names: ['a.io/p:3'], files: [{root: /pause}]}]";
    assert_eq!(
        wrong(text),
        ["containerd", "ctr"].map(|name| format!("preload: `store` needs `{name}` in `binaries`, which imports the images"))
    );
    assert_eq!(wrong(&format!("preload: archives\n{text}")), Vec::<String>::new());
}

#[test]
fn a_base_is_exactly_one_thing() {
    let problems = |text: &str| parse(text).problems().iter().map(|problem| problem.field.clone()).collect::<Vec<_>>();
    assert_eq!(problems("{}"), ["base"]);
    assert_eq!(problems("base: {}"), ["base"]);
    assert_eq!(problems("base: {image: 'a.io/b:1', debian: {suite: trixie}}"), ["base"]);
    assert_eq!(problems("base: {image: 'a.io/b:1'}\npackages: [socat]"), ["packages"]);
    assert_eq!(problems("base: {image: 'a.io/b:1'}\nkernel: {package: linux}"), ["kernel"]);
    assert_eq!(problems("base: {image: 'not a reference'}"), ["base.image"]);
    assert_eq!(problems("base: {debian: {suite: '--help'}}"), ["base.debian.suite"]);
    assert_eq!(problems("base: {debian: {suite: sid, mirrors: [ftp]}}"), ["base.debian.mirrors[0]"]);
}

#[test]
fn a_field_that_there_is_not_is_refused_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.yaml");
    std::fs::write(&path, format!("{SMALL}files:\n  - path: /a\n    contents: x\n")).unwrap();
    let error = load(Some(&path), "node", &Values::default()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("contents") && source.contains("line 4"), "{source}");
}

fn loaded(files: &[(&str, &str)], values: &Values) -> Result<Loaded, ReadError> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    load(Some(&folder.path().join(files[0].0)), "node", values)
}

#[test]
fn a_file_builds_upon_another() {
    let below = "base: {debian: {suite: bookworm}}\npackages: [socat, curl]\nfiles: [{path: /a, content: below}, {path: /b, content: b}]\n\
        units: {enable: [x.service], mask: [y.service]}\nvariables: {V: below, W: w}\n";
    let above = "extends: ./below.yaml\npackages: [socat=1.2, jq]\nfiles: [{path: /a, content: '${V} ${W}'}]\nunits: {enable: [y.service]}\nvariables: {V: above}\n";
    let file = loaded(&[("above.yaml", above), ("below.yaml", below)], &Values::default()).unwrap().file;
    assert_eq!(file.packages, ["socat=1.2", "curl", "jq"]);
    let contents: Vec<_> = file.files.iter().map(|file| (file.path.as_str(), file.content.as_deref().unwrap())).collect();
    assert_eq!(contents, [("/a", "above w"), ("/b", "b")]);
    assert_eq!(file.units, Units { enable: vec!["x.service".into(), "y.service".into()], ..Units::default() });
}

#[test]
fn what_is_set_counts_more_than_files_and_files_more_than_defaults() {
    let text = "base: {debian: {suite: bookworm}}\nvariables: {A: file, B: file}\nfiles: [{path: /x, content: '${A} ${B} ${C}'}]\n";
    let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let values = Values { defaults: pairs(&[("A", "default"), ("C", "of ${B}")]), set: pairs(&[("B", "set")]), ..Values::default() };
    let file = loaded(&[("a.yaml", text)], &values).unwrap().file;
    assert_eq!(file.files[0].content.as_deref(), Some("file set of set"));
}

#[test]
fn files_that_extend_one_another_are_refused() {
    let error = loaded(&[("a.yaml", "extends: ./b.yaml\n"), ("b.yaml", "extends: ./a.yaml\n")], &Values::default()).unwrap_err();
    assert!(matches!(error, ReadError::TooMany { .. }), "{error}");
    let error = loaded(&[("a.yaml", "extends: nodes\n")], &Values::default()).unwrap_err();
    assert!(error.to_string().ends_with("extends `nodes`: that is neither a path (./nodes) nor built in; there are node, demo"), "{error}");
}

#[test]
fn a_missing_variable_is_named() {
    let error = loaded(&[("a.yaml", "base: {debian: {suite: '${SUITE}'}}\n")], &Values::default()).unwrap_err();
    assert!(matches!(error, ReadError::Variables { .. }));
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("SUITE"));
}

#[test]
fn sources_are_relative_to_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, "base: {debian: {suite: sid}}\nmodules: {mine: mods}\nfiles: [{path: /x, source: x.txt}]\n").unwrap();
    let file = load(Some(&path), "node", &Values::default()).unwrap().file;
    assert_eq!(file.files[0].source.as_deref(), Some(folder.path().join("x.txt").to_str().unwrap()));
    assert_eq!(file.modules["mine"], folder.path().join("mods").to_str().unwrap());
}
