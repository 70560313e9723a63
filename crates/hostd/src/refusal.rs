//! Why a call is refused: flintlock's words, by which clients go, with the code that gRPC has for it.

use tonic::Code;
use tonic::Status;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// gRPC's code.
    pub code: Code,
    /// What is wrong. Where flintlock says something, it is a part of this.
    pub message: String,
}

impl Refusal {
    /// The call asks for what cannot be.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: Code::InvalidArgument, message: message.into() }
    }

    /// flintlock's answer to a call without what names a microVM.
    #[must_use]
    pub fn nameless() -> Self {
        Self::invalid("invalid request")
    }

    /// No microVM has this uid. CAPMVM takes "not found" for the news that it is gone.
    #[must_use]
    pub fn unknown_uid(doing: &str, uid: &str) -> Self {
        Self { code: Code::NotFound, message: format!("{doing}: microvm spec //{uid} not found") }
    }

    /// The host could not do what it was asked to.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: Code::Internal, message: message.into() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.message)
    }
}
