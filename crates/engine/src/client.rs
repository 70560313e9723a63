//! The client of the API server: who we are, how fast we ask, what is counted.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::header::{HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// How fast the API server is asked at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a second, in the long run.
    pub qps: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be used.
    #[error("kubeconfig {} cannot be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: KubeconfigError,
    },
    /// Neither a kubeconfig nor a service account.
    #[error("no cluster: give a kubeconfig, or run in a pod with a service account")]
    NoCluster(#[source] kube::config::InferConfigError),
    /// The settings make no client.
    #[error("the kubeconfig's settings make no client")]
    Settings(#[source] kube::Error),
}

/// Where the API server is and who we are to it: from `kubeconfig`, else as kubectl finds it, else the pod's service account.
///
/// # Errors
/// When there is no usable configuration.
pub async fn config(kubeconfig: Option<&Path>, user_agent: &str) -> Result<Config, ClientError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let wrong = |source| ClientError::Kubeconfig { path: path.to_owned(), source };
            let file = Kubeconfig::read_from(path).map_err(wrong)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(wrong)?
        }
        #[expect(clippy::disallowed_methods, reason = "the user asked for it by giving no kubeconfig")]
        None => Config::infer().await.map_err(ClientError::NoCluster)?,
    };
    if let Ok(agent) = HeaderValue::from_str(user_agent) {
        config.headers.push((USER_AGENT, agent));
    }
    Ok(config)
}

/// A client that keeps to `rate` (`None` for what must never wait, such as leases) and counts its requests.
///
/// # Errors
/// When the settings make none.
pub fn client(config: Config, rate: Option<Rate>, metrics: &Metrics) -> Result<Client, ClientError> {
    let limiter = rate.map(|rate| Arc::new(RateLimiter::direct(Quota::per_second(rate.qps).allow_burst(rate.burst))));
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let layer = Meter { limiter, metrics: metrics.clone(), host };
    Ok(ClientBuilder::try_from(config).map_err(ClientError::Settings)?.with_layer(&layer).build())
}

/// Limits and counts requests.
struct Meter {
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    metrics: Metrics,
    host: String,
}

impl<S> Layer<S> for Meter {
    type Service = Metered<S>;

    fn layer(&self, inner: S) -> Metered<S> {
        let Self { limiter, metrics, host } = self;
        Metered { inner, limiter: limiter.clone(), permit: Permit::None, metrics: metrics.clone(), host: host.clone() }
    }
}

struct Metered<S> {
    inner: S,
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    permit: Permit,
    metrics: Metrics,
    host: String,
}

/// Leave to send one request.
enum Permit {
    None,
    Awaited(Pin<Box<dyn Future<Output = ()> + Send>>),
    Given,
}

type Reply<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

impl<S, Q, A> Service<Request<Q>> for Metered<S>
where
    S: Service<Request<Q>, Response = Response<A>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<A>;
    type Error = S::Error;
    type Future = Reply<Response<A>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        loop {
            match (&mut self.permit, &self.limiter) {
                (Permit::Given, _) | (Permit::None, None) => return self.inner.poll_ready(context),
                (Permit::None, Some(limiter)) => {
                    let limiter = Arc::clone(limiter);
                    self.permit = Permit::Awaited(Box::pin(async move { limiter.until_ready().await }));
                }
                (Permit::Awaited(wait), _) => {
                    ready!(wait.as_mut().poll(context));
                    self.permit = Permit::Given;
                }
            }
        }
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        self.permit = Permit::None;
        let (method, metrics, host): (Method, _, _) = (request.method().clone(), self.metrics.clone(), self.host.clone());
        let reply = self.inner.call(request);
        Box::pin(async move {
            let reply = reply.await;
            match &reply {
                Ok(response) => metrics.request(method.as_str(), &host, response.status().as_str()),
                Err(_) => metrics.request(method.as_str(), &host, "<error>"),
            }
            reply
        })
    }
}
