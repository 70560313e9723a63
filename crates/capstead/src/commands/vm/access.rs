//! Reaching a host.

use std::path::Path;

use anyhow::Context;
use capstead_flintlock::Access;
use capstead_flintlock::CallError;
use capstead_flintlock::Client;
use capstead_flintlock::Limits;
use capstead_flintlock::Tls;

use crate::cli::vm::AccessArgs;
use crate::cli::vm::HostArgs;

/// The client that the flags ask for. Nothing is connected yet.
pub fn client(args: &HostArgs) -> anyhow::Result<Client> {
    Client::with_access(&args.host, &access(&args.access)?, Limits::default()).context("--host")
}

/// TLS and token that the flags ask for.
pub fn access(args: &AccessArgs) -> anyhow::Result<Access> {
    let AccessArgs { token, tls, tls_ca, tls_cert, tls_key, tls_server_name } = args;
    let by_tls = *tls || tls_ca.is_some() || tls_cert.is_some() || tls_server_name.is_some();
    let identity = match (tls_cert, tls_key) {
        (Some(cert), Some(key)) => Some((read("--tls-cert", cert)?, read("--tls-key", key)?)),
        _ => None,
    };
    let ca = tls_ca.as_deref().map(|path| read("--tls-ca", path)).transpose()?;
    let tls = by_tls.then(|| Tls { ca, identity, server_name: tls_server_name.clone() });
    Ok(Access { tls, token: token.clone().filter(|token| !token.is_empty()), proxy: None })
}

fn read(flag: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{flag}: cannot read {}", path.display()))
}

/// A failed call, and what to do about it.
pub fn explained(error: CallError) -> anyhow::Error {
    let hint = match &error {
        CallError::Unsent { host, .. } => {
            Some(format!("no host can be reached at {host}: `capstead host run` serves one, and --host or CAPSTEAD_HOST names another"))
        }
        error if error.wants_credentials() => Some("the host wants another token: give it with --token or CAPSTEAD_HOST_TOKEN".to_owned()),
        _ => None,
    };
    let error = anyhow::Error::new(error);
    match hint {
        Some(hint) => error.context(hint),
        None => error,
    }
}
