//! What a failed call means to the one who called.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tonic::Code;
use tonic::Status;

/// A call of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `CreateMicroVM`
    Create,
    /// `DeleteMicroVM`
    Delete,
    /// `GetMicroVM`
    Get,
    /// `ListMicroVMs`, and `ListMicroVMsStream` where that has to stand in.
    List,
    /// gRPC reflection.
    Services,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "creating a microVM",
            Self::Delete => "deleting a microVM",
            Self::Get => "looking at a microVM",
            Self::List => "listing microVMs",
            Self::Services => "listing services",
        })
    }
}

/// Why a call failed, sorted by what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The same call may succeed later. Whether it was carried out is not known: a create may have landed, or may still land.
    #[error("{call} on {host} failed for now")]
    Transient {
        /// What was called.
        call: Call,
        /// The host's address.
        host: String,
        /// What happened.
        #[source]
        cause: Cause,
    },
    /// There is no connection, so nothing was sent: nothing can have come of it, nor will.
    #[error("{call} on {host} was not sent")]
    Unsent {
        /// What should be called.
        call: Call,
        /// The host's address.
        host: String,
        /// What happened.
        #[source]
        cause: Cause,
    },
    /// The same call fails until somebody changes the request, the credentials or the host.
    #[error("{call} on {host} was refused")]
    Terminal {
        /// What was called.
        call: Call,
        /// The host's address.
        host: String,
        /// What happened.
        #[source]
        cause: Cause,
    },
    /// The host has no microVM of this uid. Only a get and a delete can tell.
    #[error("{call} on {host}: there is none of this uid")]
    NotFound {
        /// What was called.
        call: Call,
        /// The host's address.
        host: String,
        /// What happened.
        #[source]
        cause: Cause,
    },
}

/// What happened to a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// An answer that is not a success, or no connection (code `Unavailable`).
    #[error("{message} ({code:?})")]
    Status {
        /// The code of gRPC.
        code: Code,
        /// The host's text, or the connection's.
        message: String,
    },
    /// A success without the microVM it should carry.
    #[error("the answer holds no microVM")]
    Empty,
}

enum Kind {
    Transient,
    Terminal,
    NotFound,
}

impl CallError {
    /// Whether the host did not take the caller's credentials.
    #[must_use]
    pub fn wants_credentials(&self) -> bool {
        matches!(self, Self::Terminal { cause: Cause::Status { code: Code::Unauthenticated, .. }, .. })
    }

    pub(crate) fn deadline(call: Call, host: &str, deadline: Duration) -> Self {
        Self::Transient { call, host: host.to_owned(), cause: Cause::Deadline(deadline) }
    }

    pub(crate) fn empty(call: Call, host: &str) -> Self {
        Self::Transient { call, host: host.to_owned(), cause: Cause::Empty }
    }

    pub(crate) fn status(call: Call, host: &str, status: &Status) -> Self {
        let cause = Cause::Status { code: status.code(), message: chain(status) };
        let host = host.to_owned();
        if never_sent(status) {
            return Self::Unsent { call, host, cause };
        }
        match kind(call, status.code(), status.message()) {
            Kind::Transient => Self::Transient { call, host, cause },
            Kind::Terminal => Self::Terminal { call, host, cause },
            Kind::NotFound => Self::NotFound { call, host, cause },
        }
    }
}

/// Upstream's hosts send nearly all errors with code Unknown, so that the text decides.
fn kind(call: Call, code: Code, message: &str) -> Kind {
    let of_one = matches!(call, Call::Get | Call::Delete);
    match code {
        Code::NotFound if of_one => Kind::NotFound,
        Code::Unknown if of_one && says_spec_not_found(message) => Kind::NotFound,
        Code::Unknown if call == Call::Create && REFUSALS.iter().any(|text| message.contains(text)) => Kind::Terminal,
        // Ok is none that a server may fail with; what it means is as unknown.
        Code::Ok
        | Code::Unknown
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => Kind::Transient,
        Code::NotFound
        | Code::InvalidArgument
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => Kind::Terminal,
    }
}

/// Texts by which upstream's hosts refuse a create, at v0.11.0.
const REFUSALS: [&str; 4] = ["validation failures found", "name is required", " isn't available", "not supported by the microvm provider"];

/// `microvm spec NAMESPACE/NAME/UID not found`. Two words alone would take a missing lease or socket for a microVM that is gone,
/// and leave an orphan behind.
fn says_spec_not_found(message: &str) -> bool {
    message
        .split("microvm spec ")
        .skip(1)
        .any(|rest| rest.split_once(' ').is_some_and(|(name, said)| name.contains('/') && said.starts_with("not found")))
}

/// Whether the connection could not be made at all.
fn never_sent(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(source) = next {
        if source.is::<tonic::ConnectError>() {
            return true;
        }
        next = source.source();
    }
    false
}

/// The text with those below it: what a broken connection says is in its sources.
fn chain(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut next = status.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
