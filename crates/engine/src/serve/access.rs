//! Who may read diagnostics: the API server is asked, as Kubernetes' own components do.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use axum::extract::Request;
use axum::extract::State;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use http::Method;
use http::StatusCode;
use http::header::AUTHORIZATION;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::authentication::v1::TokenReviewSpec;
use k8s_openapi::api::authorization::v1::NonResourceAttributes;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use kube::Api;
use kube::Client;
use kube::api::PostParams;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::warn;

/// How long a permission and a refusal are remembered.
const ALLOWED: Duration = Duration::from_secs(60);
const REFUSED: Duration = Duration::from_secs(10);
/// Most answers remembered.
const REMEMBERED: usize = 1024;
/// Most questions to the API server at a time, whoever asks us how much.
const ASKING: usize = 4;

/// What the API server said about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// The user is known but may not.
    Forbidden,
    /// The token is not known.
    Unknown,
}

/// A token and what it is for: verb and path.
type Question = (String, String, String);

/// Asks the API server by `TokenReview` and `SubjectAccessReview`. Needs `create` on both.
pub struct Access {
    client: Client,
    asking: Semaphore,
    remembered: Mutex<HashMap<Question, (Verdict, Instant)>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Asks through this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, asking: Semaphore::new(ASKING), remembered: Mutex::new(HashMap::new()) }
    }

    fn remembered(&self, question: &Question) -> Option<Verdict> {
        let all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(question).filter(|(_, until)| Instant::now() < *until).map(|(verdict, _)| *verdict)
    }

    async fn verdict(&self, question: Question) -> Result<Verdict, kube::Error> {
        if let Some(verdict) = self.remembered(&question) {
            return Ok(verdict);
        }
        // The semaphore is never closed.
        let _asking = self.asking.acquire().await;
        // Another request may have asked the same meanwhile.
        if let Some(verdict) = self.remembered(&question) {
            return Ok(verdict);
        }
        let verdict = self.ask(&question).await?;
        let life = if verdict == Verdict::Allowed { ALLOWED } else { REFUSED };
        let now = Instant::now();
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, (_, until)| now < *until);
        }
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(question, (verdict, now + life));
        Ok(verdict)
    }

    async fn ask(&self, (token, verb, path): &Question) -> Result<Verdict, kube::Error> {
        let spec = TokenReviewSpec { token: token.clone(), ..TokenReviewSpec::default() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let review = Api::<TokenReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let user = review.status.filter(|status| status.authenticated == Some(true)).and_then(|status| status.user);
        let Some(user) = user else { return Ok(Verdict::Unknown) };
        let spec = SubjectAccessReviewSpec {
            extra: user.extra,
            groups: user.groups,
            uid: user.uid,
            user: user.username,
            non_resource_attributes: Some(NonResourceAttributes { path: Some(path.clone()), verb: Some(verb.clone()) }),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let review = Api::<SubjectAccessReview>::all(self.client.clone()).create(&PostParams::default(), &review).await?;
        let allowed = review.status.is_some_and(|status| status.allowed && status.denied != Some(true));
        Ok(if allowed { Verdict::Allowed } else { Verdict::Forbidden })
    }
}

/// Lets a request through if its token may.
pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, token)) = token else {
        return (StatusCode::UNAUTHORIZED, "a bearer token is needed\n").into_response();
    };
    let verb = match *request.method() {
        Method::GET => "get",
        Method::HEAD => "head",
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    let question = (token.trim().to_owned(), verb.to_owned(), request.uri().path().to_owned());
    match access.verdict(question).await {
        Ok(Verdict::Allowed) => next.run(request).await,
        Ok(Verdict::Forbidden) => (StatusCode::FORBIDDEN, "not allowed\n").into_response(),
        Ok(Verdict::Unknown) => (StatusCode::UNAUTHORIZED, "the API server does not know this token\n").into_response(),
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "cannot ask who may read diagnostics");
            (StatusCode::SERVICE_UNAVAILABLE, "the API server cannot be asked\n").into_response()
        }
    }
}
