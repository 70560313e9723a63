//! The table of cases: every form of the grammar, its edges and its errors.

use std::ops::RangeInclusive;

use capstead_template::Template;

use crate::Case;
use crate::expressions::{ENV, EXPRESSIONS};

/// Whole templates.
fn documents() -> Vec<Case> {
    let full = &[("NAME", "edge-1"), ("VERSION", "v1.34.2"), ("COUNT", "3"), ("HOST", "10.1.2.3")];
    vec![
        Case::new(""),
        Case::new("\n"),
        Case::new("# only ${A:=a} comment\n"),
        Case::new("# ${NEEDED} although a comment\na: b\n"),
        Case::new("a: 1\n---\nb: ${B:=2}\n---\nc: [${C:=1, 2}]\n"),
        Case::new("---\na: ${A}\n---\n# nothing\n---\nb: ${B}\n").env(&[("A", "x"), ("B", "z")]),
        Case::new("a: ${A}\n").env(&[("A", "{b: [c, 1]}")]),
        Case::new("a: ${A}\n").env(&[("A", "[unclosed")]),
        Case::new("a: \"${A}\"\n").env(&[("A", "say \"hi\"")]),
        Case::new("a: ${A}\n").env(&[("A", "x: y")]),
        Case::new("${A}\n").env(&[("A", "k: v")]),
        Case::new("${A}\n").env(&[("A", "just text")]),
        Case::new("${KEY}: ${KEY}\n").env(&[("KEY", "same")]),
        Case::new("a: ${ZULU} ${Alpha} ${alpha} ${ALPHA2} ${_x}\n"),
        Case::new("a: ${A}\n").env(&[("A", "true")]),
        Case::new("a: ${A:=null}\nb: ${B:=1.50}\nc: \"${C:=1.50}\"\n"),
        Case::new("a: ${\n  A\n}\n").env(&[("A", "folded")]),
        Case::new("a: |\n  x ${A\n  :=b}\n"),
        Case::new("a: ${A:=one\n}\nb: 2\n"),
        Case::new("a: ${A/x}\nb: http://example.test/\n").env(&[("A", "xyz")]),
        Case::new("a: |\n  ${A}\n").env(&[("A", "two\n  lines")]),
        Case::new("a: ${A}\r\nb: ${B:=2}\r\n").env(&[("A", "1")]),
        Case::new("a: \"é ${A} €\" # 😀 ${B:=ü}\n").env(&[("A", "ß")]),
        Case::new(CLUSTER).env(full),
        Case::new(CLUSTER).env(&full[..2]),
        Case::new(CLUSTER).env(full).env(&[("PODS", "172.16.0.0/12"), ("SSH_KEYS", "[\"ssh-ed25519 AAAA me\"]"), ("FLAVOUR", "BIG.box")]),
        Case::new(CLUSTER).config("NAME: edge-2\nVERSION: v1.35.0\nCOUNT: 1\nHOST: lb.example.test\n"),
        Case::new(CLUSTER).env(&full[1..]).config("NAME: from-config\nVERSION: v0.0.1\nFLAVOUR: \"\"\n"),
    ]
}

const CLUSTER: &str = r#"# A cluster of ${COUNT} control plane machines at ${HOST}.
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata:
  name: "${NAME}"
  labels:
    flavour: ${FLAVOUR:=small}
    class: 'c-${FLAVOUR,,}'
spec:
  clusterNetwork:
    pods:
      cidrBlocks: ["${PODS:=10.244.0.0/16}"]
  controlPlaneEndpoint:
    host: ${HOST}
    port: ${PORT:-6443}
---
apiVersion: controlplane.cluster.x-k8s.io/v1beta2
kind: KubeadmControlPlane
metadata:
  name: ${NAME}-control-plane
  annotations:
    example.test/minor: "${VERSION%.*}"
    example.test/number: "${VERSION#v}"
    example.test/escaped: "$${NAME} $HOME \\${NAME}"
spec:
  replicas: ${COUNT}
  version: ${VERSION}
  kubeadmConfigSpec:
    users:
      - name: admin
        sshAuthorizedKeys: ${SSH_KEYS:=[]}
    preKubeadmCommands:
      - |
        host="$(hostname)"; echo "$host is ${NAME^^} at ${HOST//./-}" # ${NOTE:=no note}
        for i in 1 2; do echo "$$i of ${#NAME}"; done
"#;

/// Where a value comes from: each case is an expression with an environment and a configuration.
fn sources() -> Vec<Case> {
    let config = "A: from config\nlower: low\nUPPER: up\nMixed_Case: mixed\nEMPTY: \"\"\nNONE:\nTILDE: ~\nYES: yes\nTRUTH: True\n\
        INT: 42\nNEGATIVE: -7\nHEX: 0x1F\nOCTAL: 0o17\nBINARY: 0b11\nFLOAT: 1.30\nTINY: 0.00000012345\nHUGE: 1e30\nEXPONENT: 1e3\nWHOLE: 1.0\n\
        INFINITE: .inf\nBIG: 12345678901234567890\nQUOTED: \"1.30\"\nLIST: [a, b]\nMAP: {a: b}\nSTRING: !!str 5\nTAGGED: !foo bar\n\
        SIXTY: 1:30\nPLUS: +5\nZERO: -0.0\nNAN: .nan\n5: five\n";
    let names = [
        "A",
        "a",
        "lower",
        "LOWER",
        "Lower",
        "UPPER",
        "upper",
        "MIXED_CASE",
        "mixed_case",
        "EMPTY",
        "NONE",
        "TILDE",
        "YES",
        "TRUTH",
        "INT",
        "NEGATIVE",
        "HEX",
        "OCTAL",
        "BINARY",
        "FLOAT",
        "TINY",
        "HUGE",
        "EXPONENT",
        "WHOLE",
        "INFINITE",
        "BIG",
        "QUOTED",
        "LIST",
        "MAP",
        "STRING",
        "TAGGED",
        "SIXTY",
        "PLUS",
        "ZERO",
        "NAN",
        "5",
        "NOWHERE",
    ];
    let mut cases: Vec<Case> = names.iter().map(|name| Case::expression(&format!("${{{name}}}")).config(config)).collect();
    let a = Case::expression("${A:=default}").config(config);
    cases.extend([
        a.clone().env(&[("A", "from env")]),
        a.clone().env(&[("A", "")]),
        a.clone().env(&[("a", "lower env is not read")]),
        Case::expression("${a}").env(&[("a", "lower env is not read")]),
        Case::expression("${a}").env(&[("A", "upper env is read")]),
        Case::expression("${é}").env(&[("É", "upper env is read")]),
        Case::expression("${ß}").env(&[("ß", "has no upper case of one character")]),
        Case::expression("${A}").config(""),
        Case::expression("${A:=x}").config("{}"),
    ]);
    cases
}

/// All of Unicode at once: which characters names may have, and what case each has.
fn unicode() -> Vec<Case> {
    const NAMES: [RangeInclusive<char>; 8] = [
        '\u{aa}'..='\u{52f}',
        '\u{5d0}'..='\u{5ea}',
        '\u{620}'..='\u{64a}',
        '\u{660}'..='\u{669}',
        '\u{904}'..='\u{939}',
        '\u{1e00}'..='\u{1fff}',
        '\u{3041}'..='\u{9fff}',
        '\u{ac00}'..='\u{d7a3}',
    ];
    let accepted = |c: &char| Template::parse(&format!("${{{c}=d}}")).is_ok();
    let name: String = NAMES.into_iter().flatten().filter(accepted).collect();
    let refused: Vec<char> = NAMES.into_iter().flatten().filter(|c| !accepted(c)).step_by(40).collect();

    // beyond Unicode 15, which the Go of clusterctl v1.14.2 knows
    const LATER: [RangeInclusive<char>; 10] = [
        '\u{19b}'..='\u{19b}',
        '\u{264}'..='\u{264}',
        '\u{1c89}'..='\u{1c8a}',
        '\u{a7cb}'..='\u{a7cf}',
        '\u{a7d2}'..='\u{a7d5}',
        '\u{a7da}'..='\u{a7dc}',
        '\u{10d50}'..='\u{10d65}',
        '\u{10d70}'..='\u{10d85}',
        '\u{16ea0}'..='\u{16eb8}',
        '\u{16ebb}'..='\u{16ed3}',
    ];
    let cased: String = ('a'..=char::MAX)
        .filter(|c| !LATER.iter().any(|range| range.contains(c)))
        .filter(|c| !c.to_uppercase().eq([*c]) || !c.to_lowercase().eq([*c]))
        .collect();
    assert!(name.chars().count() > 30_000 && cased.chars().count() > 2_500 && !refused.is_empty());

    let mut cases = vec![Case::expression(&format!("${{{name}=d}}")), Case::expression("${CASED^^} ${CASED,,}").env(&[("CASED", &cased)])];
    cases.extend(refused.into_iter().map(|c| Case::expression(&format!("${{{c}=d}}"))));
    cases.extend(["ǆ", "ß", "İ", "ﬁ", "ᾳ", "ŉ"].map(|c| Case::expression("${C^} ${C,}").env(&[("C", c)])));
    cases
}

pub fn all() -> Vec<Case> {
    let expressions = EXPRESSIONS.iter().map(|expression| Case::expression(expression).env(&ENV));
    expressions.chain(documents()).chain(sources()).chain(unicode()).collect()
}
