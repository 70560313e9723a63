//! `generate cluster`: what clusterctl makes of a cluster template, without clusterctl and without a management cluster.

mod builtin;
mod endpoint;

use anyhow::Context;
use capstead_template::Lookup;
use capstead_template::RenderError;
use capstead_template::Template;
use capstead_template::Variable;
use capstead_template::Variables;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use super::template::read;
use crate::cli::Generate;
use crate::cli::GenerateCluster;
use crate::output;

/// Kinds that stand in no namespace and can stand in a template.
const CLUSTER_SCOPED: [&str; 13] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// Runs a `generate` command.
pub fn run(command: Generate) -> anyhow::Result<()> {
    let Generate::Cluster(args) = command;
    if args.list_variables {
        return list_variables(&args);
    }
    let objects = objects(&args)?;
    for doubt in endpoint::doubts(&objects) {
        eprintln!("warning: the control plane's address: {doubt}");
    }
    output::line(&yaml(&objects)?)
}

/// The objects of the cluster, in the template's order.
pub fn objects(args: &GenerateCluster) -> anyhow::Result<Vec<Value>> {
    check_name(args.name.as_deref().unwrap_or_default())?;
    let text = text(args)?;
    let what = || format!("cannot use {}", origin(args));
    let template = Template::parse(&text).with_context(what)?;
    let rendered = template.render(&variables(args)?).map_err(|error| match error {
        RenderError::Missing { variables } => missing(args, &variables),
        error => anyhow::Error::new(error).context(what()),
    })?;
    let mut objects = Vec::new();
    for document in yaml_serde::Deserializer::from_str(&rendered) {
        let mut object = Value::deserialize(document).with_context(|| format!("{} does not become YAML", origin(args)))?;
        if object.is_null() {
            continue;
        }
        let kind = object["kind"].as_str().with_context(|| format!("{}: an object has no kind", origin(args)))?;
        if !CLUSTER_SCOPED.contains(&kind) {
            let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
            let metadata = metadata.with_context(|| format!("{}: an object has no metadata", origin(args)))?;
            metadata.insert("namespace".into(), args.target_namespace.clone().into());
        }
        objects.push(object);
    }
    Ok(objects)
}

fn yaml(objects: &[Value]) -> anyhow::Result<String> {
    let documents = objects.iter().map(|object| yaml_serde::to_string(object).context("cannot print as YAML"));
    Ok(documents.collect::<anyhow::Result<Vec<_>>>()?.join("---\n"))
}

fn text(args: &GenerateCluster) -> anyhow::Result<String> {
    match (&args.from, &args.provider) {
        (Some(file), _) => read(file),
        (None, provider) => {
            Ok(builtin::template(provider.as_deref().unwrap_or_default(), args.flavor.as_deref().unwrap_or_default())?.into())
        }
    }
}

/// The template, for messages.
fn origin(args: &GenerateCluster) -> String {
    match (&args.from, &args.provider) {
        (Some(file), _) => format!("the template {}", file.display()),
        (None, provider) => format!("the template of {}", provider.as_deref().unwrap_or_default()),
    }
}

/// Variables by flag, which win over all others.
fn flags(args: &GenerateCluster) -> anyhow::Result<Vec<(&str, String)>> {
    let mut flags = Vec::new();
    for set in &args.set {
        let (name, value) = set.split_once('=').with_context(|| format!("--set {set}: must be VAR=VALUE"))?;
        flags.push((name, value.to_owned()));
    }
    let own = [
        ("CLUSTER_NAME", args.name.clone()),
        ("NAMESPACE", Some(args.target_namespace.clone())),
        ("KUBERNETES_VERSION", args.kubernetes_version.clone()),
        ("CONTROL_PLANE_MACHINE_COUNT", args.control_plane_machine_count.map(|count| count.to_string())),
        ("WORKER_MACHINE_COUNT", args.worker_machine_count.map(|count| count.to_string())),
    ];
    flags.extend(own.into_iter().filter_map(|(name, value)| Some((name, value?))));
    Ok(flags)
}

fn variables(args: &GenerateCluster) -> anyhow::Result<Variables> {
    let mut variables = Variables::new().with_process_env();
    if let Some(path) = &args.config {
        let config = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        variables = variables.with_config_yaml(&config).with_context(|| format!("{} is no clusterctl configuration", path.display()))?;
    }
    for (name, value) in flags(args)? {
        variables.set(name, value);
    }
    // Those two have a value even where a template gives no default.
    for (name, default) in [("CONTROL_PLANE_MACHINE_COUNT", "1"), ("WORKER_MACHINE_COUNT", "0")] {
        if variables.get(name).is_none() {
            variables.set(name, default);
        }
    }
    Ok(variables)
}

/// Says how to give what is missing.
fn missing(args: &GenerateCluster, missing: &[Variable]) -> anyhow::Error {
    let names: Vec<&str> = missing.iter().map(|variable| variable.name.as_str()).collect();
    let ways = names.iter().map(|name| {
        let flag = if *name == "KUBERNETES_VERSION" { "--kubernetes-version V".to_owned() } else { format!("--set {name}=VALUE") };
        format!("\n  {flag}, or `export {name}=VALUE`, or `{name}: VALUE` in a file given with --config")
    });
    anyhow::anyhow!("{} needs {}; set it with{}", origin(args), names.join(" and "), ways.collect::<String>())
}

/// The rule for names of objects (RFC 1123 subdomains), so that no template is filled with what no server takes.
fn check_name(name: &str) -> anyhow::Result<()> {
    let plain = |part: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(|b| inner(b) || b == b'-')
    };
    anyhow::ensure!(
        name.len() <= 253 && name.split('.').all(plain),
        "the cluster name {name:?} must be lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
    );
    Ok(())
}

#[derive(Serialize)]
struct Row {
    name: String,
    required: bool,
    default: Option<String>,
}

fn list_variables(args: &GenerateCluster) -> anyhow::Result<()> {
    let template = Template::parse(&text(args)?).with_context(|| format!("cannot use {}", origin(args)))?;
    let flags = flags(args)?;
    let rows: Vec<Row> = template
        .variables()
        .into_iter()
        .map(|variable| {
            let given = flags.iter().find(|(name, _)| *name == variable.name).map(|(_, value)| value.clone());
            let default = given.or(variable.default);
            Row { required: default.is_none(), name: variable.name, default }
        })
        .collect();
    output::print(args.output, &rows, || {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cells = rows.iter().map(|row| {
            let default = row.default.as_deref().map(one_line).unwrap_or_default();
            [row.name.clone(), if row.required { "yes" } else { "no" }.into(), default]
        });
        output::table(["VARIABLE", "REQUIRED", "DEFAULT"], cells)
    })
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn names_are_those_a_server_takes() {
        for name in ["a", "edge-1", "a.b", "0"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", "a b", "a\nb"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
