//! The gRPC service: each call to the host and back.

use std::sync::Arc;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::api::CreateMicroVmResponse;
use capstead_flintlock::api::DeleteMicroVmRequest;
use capstead_flintlock::api::GetMicroVmRequest;
use capstead_flintlock::api::GetMicroVmResponse;
use capstead_flintlock::api::ListMessage;
use capstead_flintlock::api::ListMicroVMsRequest;
use capstead_flintlock::api::ListMicroVMsResponse;
use capstead_flintlock::api::micro_vm_server::MicroVm as Service;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;

use crate::accept::Drivers;
use crate::effects::Effects;
use crate::host::Host;
use crate::refusal::Refusal;
use crate::trace;

/// A host as a gRPC service.
#[derive(Debug)]
pub struct HostService<E>(Arc<Host<E>>);

impl<E> HostService<E> {
    /// Serves this host.
    #[must_use]
    pub fn new(host: Arc<Host<E>>) -> Self {
        Self(host)
    }
}

impl<E: Effects + Drivers> HostService<E> {
    /// Carries out a call, counted and traced.
    fn call<Q, T>(&self, method: &'static str, request: Request<Q>, carry_out: impl FnOnce(Q) -> Result<T, Refusal>) -> Result<T, Status> {
        let span = trace::call(method, request.metadata());
        let result = span.in_scope(|| carry_out(request.into_inner()));
        let code = result.as_ref().map_or_else(|refusal| refusal.code, |_| Code::Ok);
        trace::ended(&span, code);
        self.0.metrics().called(method, code);
        result.map_err(Status::from)
    }
}

type Messages = Box<dyn Iterator<Item = Result<ListMessage, Status>> + Send>;

#[tonic::async_trait]
impl<E: Effects + Drivers> Service for HostService<E> {
    async fn create_micro_vm(&self, request: Request<CreateMicroVmRequest>) -> Result<Response<CreateMicroVmResponse>, Status> {
        let microvm = self.call("CreateMicroVM", request, |request| self.0.create(request.microvm))?;
        Ok(Response::new(CreateMicroVmResponse { microvm: Some(microvm) }))
    }

    async fn delete_micro_vm(&self, request: Request<DeleteMicroVmRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(self.call("DeleteMicroVM", request, |request| self.0.delete(&request.uid))?))
    }

    async fn get_micro_vm(&self, request: Request<GetMicroVmRequest>) -> Result<Response<GetMicroVmResponse>, Status> {
        let microvm = self.call("GetMicroVM", request, |request| self.0.get(&request.uid))?;
        Ok(Response::new(GetMicroVmResponse { microvm: Some(microvm) }))
    }

    async fn list_micro_v_ms(&self, request: Request<ListMicroVMsRequest>) -> Result<Response<ListMicroVMsResponse>, Status> {
        let microvm = self.call("ListMicroVMs", request, |request| Ok(self.0.list(&request.namespace, request.name())))?;
        Ok(Response::new(ListMicroVMsResponse { microvm }))
    }

    type ListMicroVMsStreamStream = tokio_stream::Iter<Messages>;

    async fn list_micro_v_ms_stream(
        &self,
        request: Request<ListMicroVMsRequest>,
    ) -> Result<Response<Self::ListMicroVMsStreamStream>, Status> {
        let list = |request: ListMicroVMsRequest| match request.namespace.as_str() {
            "" => Err(Refusal::nameless()),
            namespace => Ok(self.0.list(namespace, "")),
        };
        let listed = self.call("ListMicroVMsStream", request, list)?;
        let messages = listed.into_iter().map(|microvm| Ok(ListMessage { microvm: Some(microvm) }));
        Ok(Response::new(tokio_stream::iter(Box::new(messages) as Messages)))
    }
}
