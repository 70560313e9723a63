//! From a Deployment to the component that runs for it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use k8s_openapi::api::core::v1::EnvVar;
use k8s_openapi::api::core::v1::PodSpec;

use crate::component::Component;
use crate::component::User;

/// Why nothing runs for a Deployment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// It has no container.
    #[error("it has no container")]
    Empty,
    /// Nobody knows which program the image is.
    #[error("no program is known for the image {0}")]
    Image(String),
    /// A variable comes from where a process cannot look.
    #[error("a process cannot have the variable {0}")]
    Variable(String),
    /// The name is another component's.
    #[error("the plane has another component named {0}")]
    Taken(String),
}

/// The component for a Deployment, if its image is one of the known ones.
///
/// What names a place of the plane (ports, certificates, the kubeconfig) comes from the known component, everything else from the Deployment.
///
/// # Errors
/// Nothing can be run for it.
pub fn component(deployment: &Deployment, known: &[Component]) -> Result<Component, NotRun> {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).ok_or(NotRun::Empty)?;
    let container = pod.containers.iter().find(|container| container.name == "manager").or(pod.containers.first()).ok_or(NotRun::Empty)?;
    let image = container.image.clone().unwrap_or_default();
    let own: Vec<String> = container.command.iter().flatten().skip(1).chain(container.args.iter().flatten()).cloned().collect();
    let Some(known) = find(&image, &own, known) else { return Err(NotRun::Image(image)) };
    let namespace = deployment.metadata.namespace.clone().unwrap_or_default();
    let name = deployment.metadata.name.clone().unwrap_or_default();
    Ok(Component {
        args: args(&own, &known, &namespace),
        env: env(container, deployment)?,
        user: Some(User { name: format!("system:serviceaccount:{namespace}:{}", account(pod)), group: None }),
        title: format!("Deployment {namespace}/{name}"),
        name,
        after: vec!["kube-apiserver".into()],
        after_objects_of: Vec::new(),
        objects: None,
        provider: None,
        ..known
    })
}

fn account(pod: &PodSpec) -> &str {
    pod.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
}

/// Parts of an image's reference: the last word of its repository, and its tag.
fn parts(image: &str) -> (&str, Option<&str>) {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    last.split_once(':').map_or((last, None), |(program, tag)| (program, Some(tag)))
}

/// The known component of an image. A version that is not built in can still be had from the image.
fn find(image: &str, own: &[String], known: &[Component]) -> Option<Component> {
    let (program, tag) = parts(image);
    let is = |component: &&Component| match &component.binary.image {
        Some(source) => parts(&source.reference).0 == program,
        // This program is several providers.
        None => {
            let provider = component.args.iter().find(|arg| arg.starts_with("--provider="));
            component.binary.itself && component.binary.name == program && provider.is_some_and(|provider| own.contains(provider))
        }
    };
    let of_image: Vec<&Component> = known.iter().filter(is).collect();
    let mut component = (*of_image.iter().find(|known| Some(known.binary.version.as_str()) == tag).or(of_image.first())?).clone();
    if let Some(source) = component.binary.image.as_mut().filter(|_| Some(component.binary.version.as_str()) != tag) {
        image.clone_into(&mut source.reference);
        component.binary.version = tag.unwrap_or("latest").to_owned();
        component.binary.go = None;
    }
    Some(component)
}

/// Without what the plane decides: where to listen, and who it is.
fn args(own: &[String], known: &Component, namespace: &str) -> Vec<String> {
    let flag = |arg: &str| arg.split_once('=').map_or(arg, |(flag, _)| flag).to_owned();
    let places: Vec<&String> = known.args.iter().filter(|arg| arg.contains("${")).collect();
    let decided: BTreeSet<String> = places.iter().map(|arg| flag(arg)).collect();
    let mut args = Vec::new();
    let mut own = own.iter().peekable();
    while let Some(arg) = own.next() {
        if decided.contains(&flag(arg)) {
            // Its value, where that is a word of its own.
            own.next_if(|next| !arg.contains('=') && !next.starts_with('-'));
        } else if known.binary.itself || flag(arg) != "--leader-elect" {
            // A dollar stands for itself.
            args.push(arg.replace('$', "$$"));
        }
    }
    // Cluster API's managers look for their Lease's namespace in a pod, and have no flag for it. A lock lets no second process run in any case.
    if known.binary.itself && args.iter().any(|arg| flag(arg) == "--leader-elect") {
        args.push(format!("--leader-election-namespace={namespace}"));
    }
    args.extend(places.into_iter().cloned());
    args
}

fn env(container: &Container, deployment: &Deployment) -> Result<BTreeMap<String, String>, NotRun> {
    let meta = &deployment.metadata;
    let value = |variable: &EnvVar| {
        let from = variable.value_from.as_ref();
        let field = from.and_then(|from| from.field_ref.as_ref()).map(|field| field.field_path.as_str());
        match (from, field) {
            (None, _) => Some(variable.value.clone().unwrap_or_default()),
            (_, Some("metadata.namespace")) => meta.namespace.clone(),
            (_, Some("metadata.name")) => meta.name.clone(),
            (_, Some("metadata.uid")) => meta.uid.clone(),
            _ => None,
        }
    };
    let pair = |variable: &EnvVar| {
        let value = value(variable).ok_or_else(|| NotRun::Variable(variable.name.clone()))?;
        Ok((variable.name.clone(), value.replace('$', "$$")))
    };
    container.env.iter().flatten().map(pair).collect()
}
