use super::*;

fn sorted(call: Call, code: Code, message: &str) -> &'static str {
    match CallError::status(call, "host:9090", &Status::new(code, message)) {
        CallError::Transient { .. } => "transient",
        CallError::Unsent { .. } => "unsent",
        CallError::Terminal { .. } => "terminal",
        CallError::NotFound { .. } => "not found",
    }
}

#[test]
fn errors_are_sorted_by_call_code_and_text() {
    use Call::{Create, Delete, Get, List};
    let get_gone = "getting microvm: error attempting to locate microvm with uid: U: microvm spec //U not found";
    let delete_gone = "deleting microvm: checking to see if spec exists: microvm spec //U not found";
    let table = [
        (Get, Code::Unknown, get_gone, "not found"),
        (Delete, Code::Unknown, delete_gone, "not found"),
        (Delete, Code::Unknown, "x: microvm spec ns/n/U not found with version 2", "not found"),
        (Get, Code::NotFound, "", "not found"),
        (Delete, Code::NotFound, "", "not found"),
        // Other things that were not found say nothing about the microVM.
        (Get, Code::Unknown, "getting lease: lease not found", "transient"),
        (Delete, Code::Unknown, "reading microvm spec a/b/c: content digest not found", "transient"),
        (Get, Code::Unavailable, get_gone, "transient"),
        (Get, Code::Internal, get_gone, "transient"),
        (List, Code::Unknown, get_gone, "transient"),
        (Create, Code::Unknown, get_gone, "transient"),
        (Create, Code::NotFound, "", "terminal"),
        (List, Code::NotFound, "", "terminal"),
        (Create, Code::InvalidArgument, "invalid create microvm request: MicroVMSpec required", "terminal"),
        (Get, Code::InvalidArgument, "invalid request", "terminal"),
        (Create, Code::Unknown, "converting request: creating vmid from spec: name is required", "terminal"),
        (Create, Code::Unknown, "creating microvm: microvm provider X isn't available", "terminal"),
        (Create, Code::Unknown, "creating microvm: macvtap network interfaces not supported by the microvm provider", "terminal"),
        (Create, Code::Unknown, "creating microvm: virtiofs not supported by the microvm provider", "terminal"),
        (
            Create,
            Code::Unknown,
            "creating microvm: an error occurred when attempting to validate microvm spec: validation failures found: x",
            "terminal",
        ),
        (Create, Code::Unknown, "saving: rpc error: containerd", "transient"),
        (Create, Code::Unauthenticated, "invalid auth token: x", "terminal"),
        (List, Code::PermissionDenied, "", "terminal"),
        (List, Code::Unimplemented, "", "terminal"),
        (List, Code::OutOfRange, "", "terminal"),
        (Create, Code::Unavailable, "", "transient"),
        (Create, Code::DeadlineExceeded, "", "transient"),
        (Create, Code::ResourceExhausted, "", "transient"),
        (Create, Code::Cancelled, "", "transient"),
        (Create, Code::Aborted, "", "transient"),
    ];
    for (call, code, message, expected) in table {
        assert_eq!(sorted(call, code, message), expected, "{call:?} {code:?} {message:?}");
    }
}

#[test]
fn the_outer_text_never_repeats_the_inner() {
    let error = CallError::status(Call::Get, "host:9090", &Status::invalid_argument("invalid request"));
    assert_eq!(error.to_string(), "looking at a microVM on host:9090 was refused");
    assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("invalid request (InvalidArgument)"));
}
