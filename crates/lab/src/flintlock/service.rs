//! The gRPC service of one host: a thin shell around the state machine.

use std::sync::Arc;
use std::time::Duration;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::api::CreateMicroVmResponse;
use capstead_flintlock::api::DeleteMicroVmRequest;
use capstead_flintlock::api::GetMicroVmRequest;
use capstead_flintlock::api::GetMicroVmResponse;
use capstead_flintlock::api::ListMessage;
use capstead_flintlock::api::ListMicroVMsRequest;
use capstead_flintlock::api::ListMicroVMsResponse;
use capstead_flintlock::api::micro_vm_server::MicroVm as Service;
use capstead_flintlock::types::MicroVm;
use prost::Message;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::Answer;
use super::Call;
use super::SimulatedHost;
use super::metrics::CallLabels;
use super::metrics::MethodLabels;

type Messages = Box<dyn Iterator<Item = Result<ListMessage, Status>> + Send>;

#[derive(Debug)]
pub(super) struct HostService(pub(super) Arc<SimulatedHost>);

impl HostService {
    /// Carries out a call, counts it, and waits until it is time to answer.
    async fn call<Q, M: Message>(
        &self,
        method: &'static str,
        request: Request<Q>,
        call: impl FnOnce(Q) -> Call,
        message: impl FnOnce(Answer) -> M,
    ) -> Result<M, Status> {
        let deadline = deadline(request.metadata());
        let reply = self.0.handle(call(request.into_inner()), deadline);
        let answer = reply.answer.map(message).map_err(|refusal| Status::new(refusal.code, refusal.message));
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        let metrics = self.0.metrics();
        let code = if code == Code::Ok { "OK".to_owned() } else { format!("{code:?}") };
        metrics.calls.get_or_create(&CallLabels { host: self.0.number() as u64, method, code }).inc();
        let bytes = answer.as_ref().map_or(0, Message::encoded_len);
        metrics.bytes.get_or_create(&MethodLabels { method }).inc_by(bytes as u64);
        // Counted before, so that a caller who goes away counts too.
        tokio::time::sleep(reply.after).await;
        answer
    }
}

#[tonic::async_trait]
impl Service for HostService {
    async fn create_micro_vm(&self, request: Request<CreateMicroVmRequest>) -> Result<Response<CreateMicroVmResponse>, Status> {
        let message = |answer| CreateMicroVmResponse { microvm: one(answer) };
        self.call("CreateMicroVM", request, Call::Create, message).await.map(Response::new)
    }

    async fn delete_micro_vm(&self, request: Request<DeleteMicroVmRequest>) -> Result<Response<()>, Status> {
        self.call("DeleteMicroVM", request, Call::Delete, |_| ()).await.map(Response::new)
    }

    async fn get_micro_vm(&self, request: Request<GetMicroVmRequest>) -> Result<Response<GetMicroVmResponse>, Status> {
        let message = |answer| GetMicroVmResponse { microvm: one(answer) };
        self.call("GetMicroVM", request, Call::Get, message).await.map(Response::new)
    }

    async fn list_micro_v_ms(&self, request: Request<ListMicroVMsRequest>) -> Result<Response<ListMicroVMsResponse>, Status> {
        let message = |answer| ListMicroVMsResponse { microvm: many(answer) };
        self.call("ListMicroVMs", request, Call::List, message).await.map(Response::new)
    }

    type ListMicroVMsStreamStream = tokio_stream::Iter<Messages>;

    async fn list_micro_v_ms_stream(
        &self,
        request: Request<ListMicroVMsRequest>,
    ) -> Result<Response<Self::ListMicroVMsStreamStream>, Status> {
        // Encoded, the messages of a stream are as long as one listing of them all.
        let message = |answer| ListMicroVMsResponse { microvm: many(answer) };
        let whole = self.call("ListMicroVMsStream", request, Call::ListStream, message).await?;
        let messages: Messages = Box::new(whole.microvm.into_iter().map(|microvm| Ok(ListMessage { microvm: Some(microvm) })));
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

fn one(answer: Answer) -> Option<MicroVm> {
    match answer {
        Answer::MicroVm(microvm) => Some(microvm),
        Answer::Deleting | Answer::Listed(_) => None,
    }
}

fn many(answer: Answer) -> Vec<MicroVm> {
    match answer {
        Answer::Listed(microvms) => microvms,
        Answer::MicroVm(_) | Answer::Deleting => Vec::new(),
    }
}

/// How long the caller waits, from gRPC's header: a number and a unit.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.checked_mul(3600)?),
        "M" => Duration::from_secs(number.checked_mul(60)?),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
