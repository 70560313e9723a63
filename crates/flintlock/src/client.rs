//! The client of one host.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::ServerReflectionResponse;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::Access;
use crate::AccessError;
use crate::AddressError;
use crate::Call;
use crate::CallError;
use crate::Listed;
use crate::address;
use crate::api;
use crate::api::micro_vm_client::MicroVmClient;
use crate::listing::ListedMessage;
use crate::listing::ListedResponse;
use crate::types::MicroVm;
use crate::types::MicroVmSpec;

/// How long a call may take, and how much a listing may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a connection to come about.
    pub connect: Duration,
    /// For a create, a delete or a get, connecting included. A create is to be taken as possibly still landing for this long.
    pub call: Duration,
    /// For a whole listing, the stream that may stand in included.
    pub list: Duration,
    /// Bytes of one answer.
    pub answer: usize,
}

impl Default for Limits {
    /// 64 MiB hold 1,000 microVMs with metadata at the 50 KiB that Firecracker's metadata service takes by default.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(3), call: seconds(10), list: seconds(30), answer: 64 << 20 }
    }
}

/// How often a busy connection is asked whether it is alive, and how long it may take to answer.
const ALIVE: Duration = Duration::from_secs(3);

/// The client of one host. Clones share one HTTP/2 connection, which is made at the first call and again when it broke.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
    channel: Channel,
    limits: Limits,
    authorization: Option<AsciiMetadataValue>,
}

impl Client {
    /// A client that speaks plain HTTP/2 to `address` (`HOST:PORT`). Nothing is connected yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When `address` cannot be one.
    pub fn new(address: &str, limits: Limits) -> Result<Self, AddressError> {
        Ok(Self::over(address, patient(address::endpoint(address)?, &limits).connect_lazy(), limits))
    }

    /// A client of a host that wants TLS or a token, or is behind a proxy. Nothing is connected yet. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When `address` cannot be one, or what `access` holds is not fit for its purpose.
    pub fn with_access(address: &str, access: &Access, limits: Limits) -> Result<Self, AccessError> {
        let endpoint = patient(access.endpoint(address)?, &limits);
        Ok(Self { authorization: access.authorization()?, ..Self::over(address, access.connect(&endpoint)?, limits) })
    }

    /// A client over a channel that the caller made from an endpoint and a connector of its own. `host` is what errors call it.
    #[must_use]
    pub fn over(host: &str, channel: Channel, limits: Limits) -> Self {
        Self { host: host.to_owned(), channel, limits, authorization: None }
    }

    /// Has a new microVM made, and returns it with its uid while the host still works on it. Two calls make two microVMs.
    ///
    /// # Errors
    ///
    /// [`CallError::Transient`] leaves open whether there is, or will be, a microVM.
    pub async fn create(&self, spec: MicroVmSpec) -> Result<MicroVm, CallError> {
        let request = api::CreateMicroVmRequest { microvm: Some(spec), metadata: Default::default() };
        let answer = self.call(Call::Create, request, async |mut client, request| client.create_micro_vm(request).await).await?;
        answer.microvm.ok_or_else(|| CallError::empty(Call::Create, &self.host))
    }

    /// Has a microVM deleted. It is gone when [`Client::get`] says [`CallError::NotFound`].
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] when it is gone already.
    pub async fn delete(&self, uid: &str) -> Result<(), CallError> {
        let request = api::DeleteMicroVmRequest { uid: uid.to_owned() };
        self.call(Call::Delete, request, async |mut client, request| client.delete_micro_vm(request).await).await
    }

    /// Looks at one microVM.
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] when the host has none of this uid.
    pub async fn get(&self, uid: &str) -> Result<MicroVm, CallError> {
        let request = api::GetMicroVmRequest { uid: uid.to_owned() };
        let answer = self.call(Call::Get, request, async |mut client, request| client.get_micro_vm(request).await).await?;
        answer.microvm.ok_or_else(|| CallError::empty(Call::Get, &self.host))
    }

    /// All microVMs in the given namespaces, without user-data, in no order. None are given: none are returned, without a call.
    ///
    /// It is one call; where its answer is over the limit, one stream for each namespace stands in.
    ///
    /// # Errors
    ///
    /// Never [`CallError::NotFound`]. A listing is whole or fails.
    pub async fn list(&self, namespaces: &BTreeSet<String>) -> Result<Vec<Listed>, CallError> {
        if namespaces.is_empty() {
            return Ok(Vec::new());
        }
        // The host knows one namespace or all.
        let namespace = namespaces.first().filter(|_| namespaces.len() == 1).cloned().unwrap_or_default();
        let all = async {
            match self.list_at_once(namespace, None).await {
                Err(status) if is_over_limit(&status) => self.list_by_streams(namespaces).await,
                answer => answer,
            }
        };
        let mut listed = self.within(Call::List, self.limits.list, all).await?;
        listed.retain(|microvm| namespaces.contains(&microvm.namespace));
        Ok(listed)
    }

    /// All microVMs of this name, of which there may be several, without user-data, in no order.
    ///
    /// # Errors
    ///
    /// Never [`CallError::NotFound`].
    pub async fn find(&self, namespace: &str, name: &str) -> Result<Vec<Listed>, CallError> {
        let found = self.list_at_once(namespace.to_owned(), Some(name.to_owned()));
        let mut found = self.within(Call::List, self.limits.list, found).await?;
        found.retain(|microvm| microvm.namespace == namespace && microvm.name == name);
        Ok(found)
    }

    /// All microVMs as the host tells of them, user-data included; of one namespace and name where they are not empty, in no order.
    ///
    /// # Errors
    ///
    /// Never [`CallError::NotFound`].
    pub async fn all(&self, namespace: &str, name: &str) -> Result<Vec<MicroVm>, CallError> {
        let request = self.list_request(namespace.to_owned(), Some(name.to_owned()).filter(|name| !name.is_empty()));
        let mut client = MicroVmClient::new(self.channel.clone()).max_decoding_message_size(self.limits.answer);
        let answer = self.within(Call::List, self.limits.list, client.list_micro_v_ms(request)).await?;
        let mut all = answer.into_inner().microvm;
        // A host need not know how to choose by name.
        let wanted = |asked: &str, is: &str| asked.is_empty() || asked == is;
        all.retain(|microvm| microvm.spec.as_ref().is_some_and(|spec| wanted(namespace, &spec.namespace) && wanted(name, &spec.id)));
        Ok(all)
    }

    /// The services that the host has, by gRPC reflection, under their full names.
    ///
    /// # Errors
    ///
    /// [`CallError::Terminal`] where the host has no reflection. Never [`CallError::NotFound`].
    pub async fn services(&self) -> Result<Vec<String>, CallError> {
        let listed = async {
            match self.reflect("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo").await {
                // Older hosts know it by its first name only. The messages are the same.
                Err(status) if status.code() == Code::Unimplemented => {
                    self.reflect("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo").await
                }
                answer => answer,
            }
        };
        self.within(Call::Services, self.limits.call, listed).await
    }

    async fn reflect(&self, path: &'static str) -> Result<Vec<String>, Status> {
        let mut grpc = self.grpc();
        grpc.ready().await.map_err(unready)?;
        let asked = ServerReflectionRequest { host: String::new(), message_request: Some(MessageRequest::ListServices(String::new())) };
        let request = self.request(tokio_stream::once(asked), self.limits.call);
        let codec = ProstCodec::<ServerReflectionRequest, ServerReflectionResponse>::default();
        let mut answers = grpc.streaming(request, PathAndQuery::from_static(path), codec).await?.into_inner();
        match answers.message().await?.and_then(|answer| answer.message_response) {
            Some(MessageResponse::ListServicesResponse(list)) => Ok(list.service.into_iter().map(|service| service.name).collect()),
            Some(MessageResponse::ErrorResponse(error)) => Err(Status::new(Code::from_i32(error.error_code), error.error_message)),
            _ => Err(Status::unknown("the answer lists no services")),
        }
    }

    async fn list_at_once(&self, namespace: String, name: Option<String>) -> Result<Vec<Listed>, Status> {
        let mut grpc = self.grpc();
        grpc.ready().await.map_err(unready)?;
        let path = PathAndQuery::from_static("/microvm.services.api.v1alpha1.MicroVM/ListMicroVMs");
        let answer: Response<ListedResponse> = grpc.unary(self.list_request(namespace, name), path, codec()).await?;
        Ok(answer.into_inner().microvm.into_iter().map(Listed::from).collect())
    }

    async fn list_by_streams(&self, namespaces: &BTreeSet<String>) -> Result<Vec<Listed>, Status> {
        let mut listed = Vec::new();
        for namespace in namespaces.iter().filter(|namespace| !namespace.is_empty()) {
            let mut grpc = self.grpc();
            grpc.ready().await.map_err(unready)?;
            let path = PathAndQuery::from_static("/microvm.services.api.v1alpha1.MicroVM/ListMicroVMsStream");
            let mut stream = grpc.server_streaming(self.list_request(namespace.clone(), None), path, codec()).await?.into_inner();
            while let Some(ListedMessage { microvm }) = stream.message().await? {
                listed.extend(microvm.map(Listed::from));
            }
        }
        Ok(listed)
    }

    fn list_request(&self, namespace: String, name: Option<String>) -> Request<api::ListMicroVMsRequest> {
        self.request(api::ListMicroVMsRequest { namespace, name }, self.limits.list)
    }

    fn request<Q>(&self, message: Q, deadline: Duration) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(deadline);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }

    fn grpc(&self) -> tonic::client::Grpc<Channel> {
        tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(self.limits.answer)
    }

    async fn call<Q, A>(
        &self,
        call: Call,
        request: Q,
        send: impl AsyncFnOnce(MicroVmClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, CallError> {
        let client = MicroVmClient::new(self.channel.clone()).max_decoding_message_size(self.limits.answer);
        let answer = self.within(call, self.limits.call, send(client, self.request(request, self.limits.call))).await?;
        Ok(answer.into_inner())
    }

    /// The header tells the host of the deadline; this holds it, whatever the host or the network does.
    async fn within<T>(&self, call: Call, deadline: Duration, work: impl Future<Output = Result<T, Status>>) -> Result<T, CallError> {
        match tokio::time::timeout(deadline, work).await {
            Err(_) => Err(CallError::deadline(call, &self.host, deadline)),
            Ok(Err(status)) if is_own_deadline(&status) => Err(CallError::deadline(call, &self.host, deadline)),
            Ok(answer) => answer.map_err(|status| CallError::status(call, &self.host, &status)),
        }
    }
}

/// A host that went without a word is noticed while calls wait for it, and its connection is made anew.
fn patient(endpoint: Endpoint, limits: &Limits) -> Endpoint {
    endpoint.connect_timeout(limits.connect).http2_keep_alive_interval(ALIVE).keep_alive_timeout(ALIVE)
}

fn codec<A: Message + Default + 'static>() -> ProstCodec<api::ListMicroVMsRequest, A> {
    ProstCodec::default()
}

fn unready(error: tonic::transport::Error) -> Status {
    Status::from_error(Box::new(error))
}

/// The channel reads the header too, and may be quicker; it says `Cancelled`.
fn is_own_deadline(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded || (status.code() == Code::Cancelled && status.message() == "Timeout expired")
}

/// Over our limit (tonic says `OutOfRange`), or over one between us and the host (grpc-go says `ResourceExhausted`).
fn is_over_limit(status: &Status) -> bool {
    match status.code() {
        Code::OutOfRange => true,
        Code::ResourceExhausted => status.message().contains("message larger than max"),
        _ => false,
    }
}
