//! Whether a control plane answers at its endpoint.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use capstead_capi::types::ApiEndpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks for `/livez` over TLS. Anything but an error of the server's own is an answer: that it takes nobody who is unknown, too.
///
/// # Errors
/// Why there is no answer, in words that are the same at every try.
pub(crate) async fn answers(endpoint: &ApiEndpoint) -> Result<(), String> {
    let at = match endpoint.host.contains(':') {
        true => format!("[{}]:{}", endpoint.host, endpoint.port),
        false => format!("{}:{}", endpoint.host, endpoint.port),
    };
    match timeout(DEADLINE, ask(endpoint, &at)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("nobody answers at {at} within {} s", DEADLINE.as_secs())),
    }
}

async fn ask(endpoint: &ApiEndpoint, at: &str) -> Result<(), String> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await.map_err(|error| match error.kind() {
        ErrorKind::ConnectionRefused => format!("nothing listens at {at}"),
        _ => format!("{at} cannot be reached: {error}"),
    })?;
    let config = config().map_err(|error| format!("TLS cannot be spoken: {error}"))?;
    let name = ServerName::try_from(endpoint.host.clone()).map_err(|_| format!("{} is no name of a server", endpoint.host))?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|_| format!("{at} does not speak TLS"))?;
    let lost = |_| format!("{at} does not answer");
    stream.write_all(format!("GET /livez HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n").as_bytes()).await.map_err(lost)?;
    // "HTTP/1.1 200"
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.map(drop).map_err(lost)?;
    match status(&line) {
        Some(status) if status < 500 => Ok(()),
        Some(status) => Err(format!("{at} answers GET /livez with {status}")),
        None => Err(format!("{at} does not speak HTTP")),
    }
}

fn status(line: &[u8]) -> Option<u16> {
    std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?.split_once(' ')?.1.parse().ok()
}

/// Whoever answers is believed: nothing is told them, and what they say is only shown.
fn config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth())
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
