//! A host's address.

/// An address that no host can have.
#[derive(Debug, thiserror::Error)]
#[error("{address:?} is no address of a host; HOST:PORT is expected")]
pub struct AddressError {
    address: String,
}

/// Takes `HOST:PORT`, both required, as Cluster API's microVM provider always did.
pub(crate) fn endpoint(address: &str) -> Result<tonic::transport::Endpoint, AddressError> {
    endpoint_by("http", address)
}

/// The same, by `http` or `https`.
pub(crate) fn endpoint_by(scheme: &str, address: &str) -> Result<tonic::transport::Endpoint, AddressError> {
    let wrong = || AddressError { address: address.to_owned() };
    let authority: tonic::codegen::http::uri::Authority = address.parse().map_err(|_| wrong())?;
    if authority.host().is_empty() || authority.port_u16().is_none_or(|port| port == 0) || address.contains('@') {
        return Err(wrong());
    }
    tonic::transport::Endpoint::from_shared(format!("{scheme}://{address}")).map_err(|_| wrong())
}

/// Whether a host can have this address: `HOST:PORT`, both required.
///
/// # Errors
///
/// When none can.
pub fn check_address(address: &str) -> Result<(), AddressError> {
    endpoint(address).map(|_| ())
}

#[cfg(test)]
mod tests;
