use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn open(stream: u32, kind: &str, port: &str, request: &str) -> Frame {
    let headers = [("streamtype", kind), ("port", port), ("requestid", request)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Frame::SynStream { stream, headers, fin: false }
}

fn data(stream: u32, bytes: &'static str, fin: bool) -> Frame {
    Frame::Data { stream, bytes: Bytes::from_static(bytes.as_bytes()), fin }
}

fn reply(stream: u32) -> Action {
    Action::Send(Frame::SynReply { stream, headers: Vec::new(), fin: false })
}

fn reset(stream: u32, status: u32) -> Action {
    Action::Send(Frame::Reset { stream, status })
}

#[test]
fn a_pair_is_connected_and_ends() {
    let mut session = Session::default();
    assert_eq!(session.accept(open(1, "error", "2379", "0")), [reply(1)]);
    assert_eq!(session.accept(data(1, "", true)), []);
    let pair = Pair { data: 3, error: 1, port: 2379 };
    assert_eq!(session.accept(open(3, "data", "2379", "0")), [reply(3), Action::Connect(pair)]);
    assert_eq!(session.accept(data(3, "hi", false)), [Action::Deliver(3, Bytes::from_static(b"hi"))]);
    assert_eq!(session.accept(data(3, "!", true)), [Action::Deliver(3, Bytes::from_static(b"!")), Action::Finish(3)]);
    assert_eq!(session.accept(data(3, "late", false)), []);
    assert_eq!(session.accept(Frame::Ping(1)), [Action::Send(Frame::Ping(1))]);
    assert_eq!(session.accept(Frame::Ping(2)), []);
    assert_eq!(session.accept(Frame::GoAway { last: 0, status: 0 }), []);
    assert_eq!(session.accept(open(5, "error", "2379", "1")), []);
    assert_eq!(session.ended(3), [Action::End]);
    assert_eq!(session.accept(data(3, "later", false)), []);
}

#[test]
fn streams_come_in_any_order_and_with_or_without_a_request() {
    let mut session = Session::default();
    assert_eq!(session.accept(open(1, "data", "80", "a")), [reply(1)]);
    assert_eq!(session.accept(data(1, "", true)), []);
    let pair = Pair { data: 1, error: 3, port: 80 };
    assert_eq!(session.accept(open(3, "error", "81", "a")), [reply(3), Action::Connect(pair), Action::Finish(1)]);
    let without = |stream, kind| match open(stream, kind, "80", "") {
        Frame::SynStream { stream, mut headers, fin } => {
            headers.pop();
            Frame::SynStream { stream, headers, fin }
        }
        other => other,
    };
    assert_eq!(session.accept(without(5, "error")), [reply(5)]);
    assert_eq!(session.accept(without(7, "data")), [reply(7), Action::Connect(Pair { data: 7, error: 5, port: 80 })]);
}

#[test]
fn what_makes_no_sense_is_reset() {
    let mut session = Session::default();
    let long = "x".repeat(MOST_REQUEST + 1);
    let wrong = [
        open(2, "error", "80", "0"),
        open(1, "stdin", "80", "0"),
        open(3, "error", "0", "0"),
        open(5, "error", "65536", "0"),
        open(7, "error", "", "0"),
        open(9, "error", "80", &long),
        Frame::SynStream { stream: 11, headers: Vec::new(), fin: false },
    ];
    for frame in wrong {
        let Frame::SynStream { stream, .. } = frame else { continue };
        assert_eq!(session.accept(frame), [reset(stream, status::PROTOCOL_ERROR)]);
    }
    assert_eq!(session.accept(open(13, "error", "80", "0")), [reply(13)]);
    assert_eq!(session.accept(open(13, "data", "80", "0")), [reset(13, status::PROTOCOL_ERROR)]);
    assert_eq!(session.accept(open(11, "data", "80", "0")), [reset(11, status::PROTOCOL_ERROR)]);
    assert_eq!(session.accept(open(15, "error", "80", "0")), [reset(15, status::PROTOCOL_ERROR)]);
    // Nothing waits for a stream without its pair.
    assert_eq!(session.accept(open(17, "data", "80", "1")), [reply(17)]);
    assert_eq!(session.accept(data(17, "hi", false)), [reset(17, status::PROTOCOL_ERROR)]);
    assert_eq!(session.accept(open(19, "error", "80", "1")), [reply(19)]);
}

#[test]
fn a_client_cuts_its_streams() {
    let mut session = Session::default();
    session.accept(open(1, "error", "80", "0"));
    session.accept(open(3, "data", "80", "0"));
    assert_eq!(session.accept(Frame::Reset { stream: 1, status: 5 }), []);
    assert_eq!(session.accept(Frame::Reset { stream: 3, status: 5 }), [Action::Abandon(3)]);
    assert_eq!(session.ended(3), []);
    session.accept(open(5, "error", "80", "0"));
    session.accept(Frame::GoAway { last: 0, status: 0 });
    assert_eq!(session.accept(Frame::Reset { stream: 5, status: 5 }), [Action::End]);
    assert_eq!(session.stalled(3), [reset(3, status::CANCEL), Action::Abandon(3)]);
}

#[test]
fn there_is_an_end_to_streams() {
    let mut session = Session::default();
    for number in 0..MOST_STREAMS as u32 {
        assert_eq!(session.accept(open(2 * number + 1, "error", "80", &number.to_string())), [reply(2 * number + 1)]);
    }
    let next = 2 * MOST_STREAMS as u32 + 1;
    assert_eq!(session.accept(open(next, "data", "80", "0")), [reset(next, status::REFUSED)]);
    session.accept(Frame::Reset { stream: 1, status: 5 });
    assert_eq!(session.accept(open(next + 2, "data", "80", "1")).len(), 2);
}

fn frames() -> impl Strategy<Value = Frame> {
    let stream = || 0..20_u32;
    prop_oneof![
        3 => (stream(), prop_oneof!["data", "error", "x"], "[0-3]").prop_map(|(stream, kind, request)| open(stream, &kind, "80", &request)),
        2 => (stream(), any::<bool>(), any::<bool>()).prop_map(|(stream, full, fin)| data(stream, if full { "x" } else { "" }, fin)),
        1 => stream().prop_map(|stream| Frame::Reset { stream, status: 5 }),
    ]
}

proptest! {
    /// Whatever clients send: targets are connected once, and nothing goes to one that is not, was finished, or is gone.
    #[test]
    fn actions_make_sense(frames in prop::collection::vec((frames(), any::<bool>()), 0..60)) {
        let mut session = Session::default();
        let (mut connected, mut finished) = (BTreeSet::new(), BTreeSet::new());
        let mut used = BTreeSet::new();
        for (frame, end) in frames {
            for action in session.accept(frame) {
                match action {
                    Action::Connect(pair) => {
                        prop_assert!(used.insert(pair.data) && used.insert(pair.error));
                        connected.insert(pair.data);
                    }
                    Action::Deliver(data, bytes) => {
                        prop_assert!(connected.contains(&data) && !finished.contains(&data) && !bytes.is_empty());
                    }
                    Action::Finish(data) => prop_assert!(connected.contains(&data) && finished.insert(data)),
                    Action::Abandon(data) => prop_assert!(connected.contains(&data)),
                    Action::Send(_) => {}
                    Action::End => prop_assert!(false, "nobody said goodbye"),
                }
            }
            if end && let Some(data) = connected.pop_first() {
                session.ended(data);
            }
        }
        prop_assert!(session.streams.len() <= MOST_STREAMS);
    }
}
