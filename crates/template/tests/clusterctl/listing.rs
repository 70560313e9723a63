//! The lists of variables: names as `generate yaml` prints them, and requirements and defaults as `generate cluster` does.

use std::collections::BTreeMap;

use capstead_template::Template;

use crate::runner::{Clusterctl, in_parallel};

const TEMPLATES: &[&str] = &[
    "v: no variables\n",
    "v: ${ZULU} ${ALPHA} ${_under} ${mike} ${B1}\n",
    "# ${IN_COMMENT}\nv: ${ OLD } ${OLD2 } $$ $PLAIN $${ESCAPED}\n",
    "a: ${FIRST:=one}\nb: ${FIRST}\nc: ${SECOND}\nd: ${SECOND:=two}\n",
    "v: ${EMPTY_DEFAULT:=} ${NO_COLON=} ${DASH:-} ${QUOTED:=\"\"} ${TEXT:=\"quoted\"}\n",
    "v: ${OUTER:=a${INNER}b} ${DEEP:=${ONE:=${TWO:=x}}} ${TWO:-second}\n",
    "v: ${SUB:1:2} ${SUB1:${N}} ${TRIM#pre} ${TRIM2%%*post} ${REPL/a/b} ${REPL1//a/} ${PRE/#x/y}\n",
    "v: ${LENGTH_OF} ${#LENGTH} ${UP^^} ${UP1^} ${LOW,,} ${LOW1,} ${BOTH,^}\n",
    "v: ${BACKSLASH:=a\\b} ${TAB:=a\tb} ${DOUBLE:=say \"hi\"} ${SPACED:= x } ${UMLAUT:=ü}\n",
    CLUSTER,
];

const CLUSTER: &str = r#"# Needs ${REGION}; see also ${SITE:-lab}.
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata:
  name: ${NAME_OF_CLUSTER}
spec:
  clusterNetwork:
    pods:
      cidrBlocks: ["${POD_CIDR:=10.244.0.0/16}"]
    services:
      cidrBlocks: ["${SERVICE_CIDR:=10.96.0.0/12}"]
  controlPlaneEndpoint:
    host: ${ENDPOINT_HOST}
    port: ${ENDPOINT_PORT:=6443}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: "${NAME_OF_CLUSTER}-${SUFFIX:=${SITE}-0}"
data:
  region: ${REGION:=nowhere}
  hosts: '${HOSTS:="[]"}'
"#;

#[test]
fn lists_of_names_agree() {
    let clusterctl = Clusterctl::find();
    let theirs = in_parallel(TEMPLATES, |template| clusterctl.stdout(&["generate", "yaml", "--list-variables"], template));
    for (template, theirs) in TEMPLATES.iter().zip(theirs) {
        let variables = Template::parse(template).unwrap().variables();
        let mut ours = if variables.is_empty() { "\n".to_owned() } else { "Variables:\n".to_owned() };
        for variable in variables {
            ours += &format!("  - {}\n", variable.name);
        }
        assert_eq!(ours, theirs, "{template}");
    }
    println!("listing: {} templates compared with clusterctl", TEMPLATES.len());
}

#[test]
fn requirements_and_defaults_agree() {
    let clusterctl = Clusterctl::find();
    let arguments = ["generate", "cluster", "name", "--target-namespace", "space", "--from", "-", "--list-variables"];
    let theirs = in_parallel(TEMPLATES, |template| clusterctl.stdout(&arguments, template));
    for (template, theirs) in TEMPLATES.iter().zip(theirs) {
        let variables = Template::parse(template).unwrap().variables();
        let ours: BTreeMap<_, _> = variables.into_iter().map(|variable| (variable.name, variable.default.map(shown))).collect();
        assert_eq!(ours, read_listing(&theirs), "{template}\n{theirs}");
    }
}

/// A default as clusterctl prints it: in quotes, unless it brings its own.
fn shown(default: String) -> String {
    if default.starts_with('"') {
        return default;
    }
    // Go's %q and Rust's {:?} write the texts of these templates alike
    format!("{default:?}")
}

fn read_listing(text: &str) -> BTreeMap<String, Option<String>> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  - "));
    lines
        .map(|line| match line.split_once("(defaults to ") {
            Some((name, default)) => {
                let default = default.strip_suffix(')').unwrap_or_else(|| panic!("{line}"));
                (name.trim().to_owned(), Some(default.to_owned()))
            }
            None => (line.trim().to_owned(), None),
        })
        .collect()
}
