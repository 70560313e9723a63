//! From a component to the command that is run.
//!
//! Variables of `args`, `env` and `ready`, in clusterctl's grammar:
//!
//! | variable | value |
//! |---|---|
//! | `PORT_<NAME>` | the component's port of that name |
//! | `<COMPONENT>_PORT_<NAME>` | another component's |
//! | `CERTS`, `DATA`, `KUBECONFIG` | the component's folders and kubeconfig |
//! | `CLUSTER_CA`, `ETCD_CA` | the authorities' certificates |
//! | `SERVICE_ACCOUNT_KEY`, `SERVICE_ACCOUNT_PUBLIC_KEY` | for service-account tokens |

use std::collections::BTreeMap;

use capstead_artifact::Fetched;
use sha2::Digest;
use sha2::Sha256;

use crate::component::Authority;
use crate::component::Component;
use crate::layout::Layout;
use crate::pki::Pki;
use crate::plane::Plane;
use crate::process::Launch;
use crate::process::Mark;

/// A component's text cannot be filled in.
#[derive(Debug, thiserror::Error)]
#[error("the component {component}: cannot fill in {text:?}")]
pub struct CommandError {
    /// The component.
    component: String,
    /// The text.
    text: String,
    /// Why.
    source: capstead_template::Error,
}

/// The variables of a component.
#[must_use]
pub fn variables(plane: &Plane, component: &Component, layout: &Layout, pki: &Pki) -> BTreeMap<String, String> {
    let name = |text: &str| text.to_uppercase().replace('-', "_");
    let mut variables = BTreeMap::new();
    for (owner, ports) in &plane.ports {
        for (port, number) in ports {
            variables.insert(format!("{}_PORT_{}", name(owner), name(port)), number.to_string());
            if *owner == component.name {
                variables.insert(format!("PORT_{}", name(port)), number.to_string());
            }
        }
    }
    let paths = [
        ("CERTS", layout.certs(&component.name)),
        ("DATA", layout.data(&component.name)),
        ("KUBECONFIG", layout.component_kubeconfig(&component.name)),
        ("CLUSTER_CA", pki.certificate(Authority::Cluster)),
        ("ETCD_CA", pki.certificate(Authority::Etcd)),
        ("SERVICE_ACCOUNT_KEY", pki.service_account_key()),
        ("SERVICE_ACCOUNT_PUBLIC_KEY", pki.service_account_public_key()),
    ];
    variables.extend(paths.map(|(name, path)| (name.to_owned(), path.to_string_lossy().into_owned())));
    variables
}

/// Fills in one text.
///
/// # Errors
/// A variable is not known, or the text is not in the grammar.
pub fn fill(component: &Component, text: &str, variables: &BTreeMap<String, String>) -> Result<String, CommandError> {
    capstead_template::render(text, variables).map_err(|source| CommandError {
        component: component.name.clone(),
        text: text.into(),
        source,
    })
}

/// The command of a component. Its digest covers the binary, the arguments and the certificates, so that a change of any of them shows.
///
/// # Errors
/// A text cannot be filled in.
pub fn launch(plane: &Plane, component: &Component, layout: &Layout, pki: &Pki, binary: &Fetched) -> Result<Launch, CommandError> {
    let variables = variables(plane, component, layout, pki);
    let extra = if plane.options.ephemeral { &component.ephemeral_args[..] } else { &[] };
    let args: Vec<String> = component.args.iter().chain(extra).map(|arg| fill(component, arg, &variables)).collect::<Result<_, _>>()?;
    let env: BTreeMap<String, String> = component
        .env
        .iter()
        .map(|(name, value)| Ok((name.clone(), fill(component, value, &variables)?)))
        .collect::<Result<_, CommandError>>()?;
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    add(identity(binary).as_bytes());
    args.iter().for_each(|arg| add(arg.as_bytes()));
    env.iter().for_each(|(name, value)| add(format!("{name}={value}").as_bytes()));
    for certificate in &component.certificates {
        add(&std::fs::read(layout.certs(&component.name).join(format!("{}.crt", certificate.name))).unwrap_or_default());
    }
    let digest = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mark = Mark { plane: plane.id.clone(), component: component.name.clone(), digest };
    Ok(Launch { program: binary.path.clone(), args, env, dir: layout.component(&component.name), log: layout.log(&component.name), mark })
}

/// What tells one binary from another: its content, or for one in a folder of the user's, where it is and when it was written.
fn identity(binary: &Fetched) -> String {
    let written = || std::fs::metadata(&binary.path).and_then(|file| file.modified());
    binary.digest.clone().unwrap_or_else(|| format!("{:?} {:?}", binary.path, written().ok()))
}
