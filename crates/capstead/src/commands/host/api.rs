//! A host's daemon as a client of it sees it.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use capstead_flintlock::Access;
use capstead_flintlock::CallError;
use capstead_flintlock::Client;
use capstead_flintlock::Limits;
use capstead_flintlock::types::MicroVm;
use capstead_preflight::observe::Api;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::vm::AccessArgs;
use crate::commands::vm::access::access;

/// Asks the daemon at `HOST:PORT`, for no longer than `limit`.
pub async fn look(address: &str, args: &AccessArgs, limit: Duration) -> anyhow::Result<Api> {
    let (api, _) = look_by(address, &access(args)?, limit).await.context("--host")?;
    Ok(api)
}

/// The same by another way in, and the microVMs that it lists.
pub async fn look_by(address: &str, access: &Access, limit: Duration) -> anyhow::Result<(Api, Vec<MicroVm>)> {
    let begun = Instant::now();
    let reached = match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {limit:?}")),
    };
    if reached.is_err() {
        let untold = || "it is not reached".to_owned();
        let api = Api { address: address.to_owned(), reached, tls: None, token: None, services: Err(untold()), microvms: Err(untold()) };
        return Ok((api, Vec::new()));
    }
    let left = limit.saturating_sub(begun.elapsed());
    let limits = Limits { connect: left, call: left, list: left, ..Limits::default() };
    let client = Client::with_access(address, access, limits)?;
    let (services, microvms) = tokio::join!(client.services(), client.all("", ""));
    // It can be reached, so what could not be sent failed between there and here: in TLS.
    let tls = access.tls.is_some().then(|| match &services {
        Err(error @ CallError::Unsent { .. }) => Err(why(error)),
        _ => Ok(()),
    });
    let refused = [services.as_ref().err(), microvms.as_ref().err()].into_iter().flatten().find(|error| error.wants_credentials());
    let token = match (refused, services.is_ok() || microvms.is_ok()) {
        (Some(error), _) => Some(Err(why(error))),
        (None, true) => access.token.is_some().then_some(Ok(())),
        (None, false) => access.token.is_some().then(|| Err("no call came through".to_owned())),
    };
    let services = services.map_err(|error| why(&error));
    let (microvms, all) = match microvms {
        Ok(all) => (Ok(all.len() as u64), all),
        Err(error) => (Err(why(&error)), Vec::new()),
    };
    Ok((Api { address: address.to_owned(), reached, tls, token, services, microvms }, all))
}

/// Whose call it was is known; what came of it is not.
fn why(error: &CallError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
