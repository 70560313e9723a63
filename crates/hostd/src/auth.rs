//! Who may call: whoever sends the token, as flintlock has it (`authorization: Basic <base64 of the token>`).

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

/// The token, of which only a digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

impl Token {
    /// This token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether a request comes from somebody who has the token.
    ///
    /// # Errors
    ///
    /// flintlock's words for what is wrong.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        const MALFORMED: &str = "could not extract token from request header: Request unauthenticated with Basic";
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(MALFORMED)?;
        let (scheme, encoded) = value.split_once(' ').ok_or(MALFORMED)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(MALFORMED);
        }
        let sent = STANDARD.decode(encoded.trim()).map_err(|_| "invalid auth token: it is no base64")?;
        // Digests differ in their first bytes or not at all, whatever was guessed right.
        let digest: [u8; 32] = Sha256::digest(sent).into();
        if digest == self.0 { Ok(()) } else { Err("invalid auth token: tokens do not match") }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

/// Who is let through, and the answer for others.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// Who has it is let through; without one, everybody.
    pub(crate) token: Option<Token>,
    pub(crate) refuse: fn(&str) -> Response,
}

/// Lets a request through, or refuses it.
pub(crate) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.token.as_ref().map_or(Ok(()), |token| token.check(request.headers())) {
        Ok(()) => next.run(request).await,
        Err(why) => (gate.refuse)(why),
    }
}

#[cfg(test)]
mod tests;
