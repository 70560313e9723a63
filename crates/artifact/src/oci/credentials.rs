//! The user's credentials for a registry, from Docker's `config.json` and its helpers.

use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;

/// How long a credential helper may take.
const HELPER_TIME: Duration = Duration::from_secs(10);

/// The credentials for a registry, and why there are none if that may surprise the user.
///
/// Public images need none, so nothing here is an error: what went wrong is told when the registry then refuses.
pub(super) async fn find(registry: &str) -> (RegistryAuth, Option<String>) {
    let server = match registry {
        "docker.io" | "index.docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    };
    // A helper is a program that is run and waited for. In a thread of its own, because the runtime would wait at its end for one that hangs.
    let (tell, asked) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || tell.send(docker_credential::get_credential(&server)));
    let unusable = |why: &str| (RegistryAuth::Anonymous, Some(why.to_owned()));
    match tokio::time::timeout(HELPER_TIME, asked).await {
        Ok(Ok(Ok(DockerCredential::UsernamePassword(name, password)))) => (RegistryAuth::Basic(name, password), None),
        Ok(Ok(Ok(DockerCredential::IdentityToken(_)))) => unusable("Docker's config has an identity token, which is not supported"),
        Ok(Ok(Err(
            CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError
            | CredentialRetrievalError::NoCredentialConfigured,
        ))) => (RegistryAuth::Anonymous, None),
        Ok(Ok(Err(CredentialRetrievalError::HelperFailure { helper, .. }))) => {
            unusable(&format!("Docker's credential helper `{helper}` gave none"))
        }
        Ok(Ok(Err(error))) => unusable(&format!("Docker's config was not usable: {error}")),
        Ok(Err(_)) => unusable("reading Docker's config failed"),
        Err(_) => unusable("Docker's credential helper did not answer"),
    }
}
