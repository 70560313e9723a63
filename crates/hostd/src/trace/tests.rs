use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use capstead_flintlock::api::CreateMicroVmRequest;
use capstead_flintlock::api::DeleteMicroVmRequest;
use capstead_flintlock::api::GetMicroVmRequest;
use capstead_flintlock::api::micro_vm_server::MicroVm;
use opentelemetry::trace::SpanKind;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk::trace::SpanProcessor;
use tonic::Request;
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::accept::tests::spec;
use crate::host::tests::World;
use crate::host::tests::start;
use crate::host::tests::until;
use crate::service::HostService;

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Keeps the spans that have ended.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Kept {
    fn named(&self, name: &str) -> Vec<SpanData> {
        self.0.lock().unwrap().iter().filter(|span| span.name == name).cloned().collect()
    }

    /// The value of an attribute, as text; empty if it has none.
    fn value(span: &SpanData, key: &str) -> String {
        let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
    }
}

/// A call by somebody who is in a trace.
fn traced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", CALLER.parse().unwrap());
    request
}

#[tokio::test]
async fn what_a_call_leads_to_is_in_its_callers_trace() {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_span_processor(kept.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    global::set_text_map_propagator(TraceContextPropagator::new());

    let (world, dir) = (World::default(), tempfile::tempdir().unwrap());
    let host = start(&world, dir.path());
    let service = HostService::new(Arc::clone(&host));
    let made = service.create_micro_vm(traced(CreateMicroVmRequest { microvm: Some(spec(&[])), ..Default::default() })).await.unwrap();
    let uid = made.into_inner().microvm.unwrap().spec.unwrap().uid.unwrap();
    let launched = |span: &SpanData| Kept::value(span, "step") == "Launch";
    until("it is launched", || kept.named("apply").iter().any(launched)).await;

    let call = kept.named(&format!("{SERVICE}/CreateMicroVM")).remove(0);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!((call.span_context.trace_id().to_string().as_str(), call.parent_span_id.to_string().as_str()), (trace, "b7ad6b7169203331"));
    assert_eq!(call.span_kind, SpanKind::Server);
    assert_eq!(Kept::value(&call, "rpc.grpc.status_code"), "0");
    // The look that the launch is in may go on for a moment.
    until("a look has ended", || !kept.named("reconcile").is_empty()).await;
    let look = kept.named("reconcile").remove(0);
    assert_eq!((look.parent_span_id, Kept::value(&look, "object")), (call.span_context.span_id(), uid.clone()));
    let steps: Vec<SpanData> = kept.named("apply").into_iter().filter(|step| step.parent_span_id == look.span_context.span_id()).collect();
    assert!(steps.iter().any(launched) && steps.iter().any(|step| Kept::value(step, "step") == "Make(Kernel)"), "{steps:#?}");
    assert!(steps.iter().all(|step| step.span_context.trace_id().to_string() == trace));

    // Who is in no trace begins one, and a refusal is told.
    service.get_micro_vm(Request::new(GetMicroVmRequest { uid: "other".into() })).await.unwrap_err();
    let call = kept.named(&format!("{SERVICE}/GetMicroVM")).remove(0);
    assert_eq!(Kept::value(&call, "rpc.grpc.status_code"), (Code::NotFound as i32).to_string());
    assert_ne!(call.span_context.trace_id().to_string(), trace);

    // What a delete leads to is in the delete's trace, not in that of the create.
    service.delete_micro_vm(Request::new(DeleteMicroVmRequest { uid: uid.clone() })).await.unwrap();
    let forgotten = |span: &SpanData| Kept::value(span, "step") == "Forget";
    until("it is forgotten", || kept.named("apply").iter().any(forgotten)).await;
    let call = kept.named(&format!("{SERVICE}/DeleteMicroVM")).remove(0);
    let forget = kept.named("apply").into_iter().find(forgotten).unwrap();
    assert_eq!(forget.span_context.trace_id(), call.span_context.trace_id());
    host.stop();
}
