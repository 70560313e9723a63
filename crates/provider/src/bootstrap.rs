//! Bootstrap data: read from its Secret when a machine is about to be made, and kept no longer.

use std::fmt;

use capstead_capi::machine::Bootstrap;
use capstead_capi::meta::bootstrap_secret;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

/// What a machine is given to become a node. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct BootstrapData {
    /// The data, as it is.
    pub value: Vec<u8>,
    /// `cloud-config` or `ignition`; what is not said is `cloud-config`.
    pub format: String,
}

impl fmt::Debug for BootstrapData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapData").field("bytes", &self.value.len()).field("format", &self.format).finish()
    }
}

/// Reads the Secret: what is to be said of it, and the data when it is there.
pub(crate) async fn read(client: &Client, namespace: &str, secret: &str) -> Result<(Bootstrap, Option<BootstrapData>), kube::Error> {
    let found = Api::<Secret>::namespaced(client.clone(), namespace).get_opt(secret).await?;
    let Some(mut data) = found.map(|found| found.data.unwrap_or_default()) else {
        return Ok((Bootstrap::Missing { secret: secret.to_owned() }, None));
    };
    let Some(value) = data.remove(bootstrap_secret::VALUE).map(|value| value.0).filter(|value| !value.is_empty()) else {
        return Ok((Bootstrap::WithoutValue { secret: secret.to_owned() }, None));
    };
    let format = data.remove(bootstrap_secret::FORMAT).and_then(|format| String::from_utf8(format.0).ok());
    Ok((Bootstrap::Ready, Some(BootstrapData { value, format: format.unwrap_or_else(|| "cloud-config".to_owned()) })))
}
