use std::process::Command;

use super::*;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[test]
fn a_real_list_of_packages_is_read_as_dpkg_reads_it() {
    let status = std::fs::read_to_string("/var/lib/dpkg/status").expect("these tests run on Debian or Ubuntu");
    let output =
        Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n"]).output().unwrap();
    let mut expected: Vec<(String, String, String)> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("installed\t"))
        .map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap())
        })
        .collect();
    expected.sort();
    let got: Vec<_> = packages(&status).into_iter().map(|package| (package.name, package.version, package.architecture)).collect();
    assert!(got.len() > 50);
    assert_eq!(got, expected);
}

#[test]
fn only_what_is_there_counts() {
    let status = "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n\n\
        Package: here\nStatus: install ok installed\nVersion: 1:2.0-3+b1\nArchitecture: amd64\nSource: origin (2.0-3)\nDescription: x\n Version: 9\n";
    let here = DebianPackage {
        name: "here".into(),
        version: "1:2.0-3+b1".into(),
        architecture: "amd64".into(),
        source: Some("origin (2.0-3)".into()),
        maintainer: None,
    };
    assert_eq!(packages(status), [here]);
}

#[test]
fn a_real_program_tells_what_go_says_of_it() {
    let go = Command::new("go").args(["env", "GOROOT"]).output().expect("Go is needed: https://go.dev/doc/install");
    let root = String::from_utf8(go.stdout).unwrap().trim().to_owned();
    let program = std::path::Path::new(&root).join("bin/gofmt");
    let said = Command::new("go").args(["version", "-m"]).arg(&program).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let build = build_info(&std::fs::read(program).unwrap()).unwrap();
    assert_eq!(said.lines().next().unwrap().rsplit(' ').next().unwrap(), build.go);
    assert!(said.contains(&format!("\tpath\t{}\n", build.package)), "{said}");
    assert_eq!(build_info(b"not a program"), None);
}

/// A program's bytes, as far as they matter here.
fn program(info: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF and code".to_vec();
    // The same letters at another place are somebody's text.
    bytes.extend_from_slice(b"\xff Go buildinf:");
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    bytes.extend_from_slice(b"\xff Go buildinf:\x08\x02");
    bytes.resize(bytes.len() + 16, 0);
    for text in ["go1.26.8".to_owned(), format!("{0}{info}{0}", "m".repeat(16))] {
        let length = text.len();
        assert!((1..1 << 14).contains(&length));
        if length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            bytes.push(u8::try_from(length >> 7).unwrap());
        } else {
            bytes.push(u8::try_from(length).unwrap());
        }
        bytes.extend(text.into_bytes());
    }
    bytes
}

const INFO: &str = "path\tk8s.io/kubernetes/cmd/kubelet\nmod\tcapstead.dev/tools\t(devel)\t\ndep\tk8s.io/api\tv0.0.0\n=>\tk8s.io/api\tv0.36.3\th1:sum=\n\
    dep\tgithub.com/x/y\tv1.2.3+incompatible\th1:other=\nbuild\t-trimpath=true\n";

#[test]
fn a_replaced_module_is_the_one_in_its_place() {
    let build = build_info(&program(INFO)).unwrap();
    let modules: Vec<_> = build.modules.iter().map(|it| (it.path.as_str(), it.version.as_str(), it.sum.as_str())).collect();
    assert_eq!(
        modules,
        [
            ("capstead.dev/tools", "(devel)", ""),
            ("github.com/x/y", "v1.2.3+incompatible", "h1:other="),
            ("k8s.io/api", "v0.36.3", "h1:sum="),
        ]
    );
    assert_eq!((build.go.as_str(), build.package.as_str()), ("go1.26.8", "k8s.io/kubernetes/cmd/kubelet"));
}

fn contents() -> Contents {
    let program = |name: &str| Program {
        name: name.into(),
        version: "v1".into(),
        digest: digest(name),
        from: "Go build".into(),
        go: build_info(&program(INFO)),
    };
    Contents {
        name: "node".into(),
        suite: "bookworm".into(),
        packages: packages("Package: libstdc++6\nStatus: install ok installed\nVersion: 1:12.2~rc\nArchitecture: amd64\n"),
        programs: vec![program("kubelet"), program("kubeadm")],
        images: vec![("registry.k8s.io/pause:3.10.2".into(), digest("pause"))],
    }
}

#[test]
fn the_document_is_whole() {
    let document = document(&contents(), &digest("image"), 1_577_836_800);
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    assert_eq!(document["creationInfo"]["created"], "2020-01-01T00:00:00Z");
    let packages = document["packages"].as_array().unwrap();
    let ids: Vec<&str> = packages.iter().map(|package| package["SPDXID"].as_str().unwrap()).collect();
    let unique: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    let legal = |id: &str| id.starts_with("SPDXRef-") && id.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    assert!(ids.iter().all(|id| legal(id)), "{ids:?}");
    // Each relation is between things that there are, and everything is in the image.
    for relation in document["relationships"].as_array().unwrap() {
        let (from, to) = (relation["spdxElementId"].as_str().unwrap(), relation["relatedSpdxElement"].as_str().unwrap());
        assert!(from == "SPDXRef-DOCUMENT" || ids.contains(&from), "{from}");
        assert!(ids.contains(&to), "{to}");
    }
    let urls: Vec<&str> = packages.iter().filter_map(|package| package["externalRefs"][0]["referenceLocator"].as_str()).collect();
    assert!(urls.contains(&"pkg:deb/debian/libstdc%2B%2B6@1%3A12.2~rc?arch=amd64&distro=bookworm"), "{urls:?}");
    assert!(urls.contains(&"pkg:golang/k8s.io/api@v0.36.3") && urls.contains(&"pkg:golang/stdlib@1.26.8"), "{urls:?}");
    // A module of both programs is there once.
    assert_eq!(urls.iter().filter(|url| url.contains("k8s.io/api")).count(), 1);
}

#[test]
fn the_same_contents_give_the_same_document() {
    let text = || serde_json::to_string(&document(&contents(), &digest("image"), 0)).unwrap();
    assert_eq!(text(), text());
}
