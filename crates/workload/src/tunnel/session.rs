//! The streams of one port-forward connection, and which of them belong together. Frames in, what to do out; nothing here waits.
//!
//! What Kubernetes asks of a server: each connection to a port is two streams with the same `requestID`, `data` and `error`.

use std::collections::BTreeMap;

use axum::body::Bytes;

use super::frame::Frame;
use super::frame::status;

#[cfg(test)]
mod tests;

/// The most streams at a time, two for each forwarded connection.
pub(crate) const MOST_STREAMS: usize = 256;

/// The longest `requestID`, in bytes. Clients count from 0.
const MOST_REQUEST: usize = 64;

/// What the connection has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Give this to the client.
    Send(Frame),
    /// Connect to the port, and copy until its end.
    Connect(Pair),
    /// Give this to what the data stream is connected to.
    Deliver(u32, Bytes),
    /// The client sends nothing more on this data stream.
    Finish(u32),
    /// Cut what this data stream is connected to, and let its error stream end.
    Abandon(u32),
    /// The client wants to leave, and nothing is open.
    End,
}

/// Two streams that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) data: u32,
    pub(crate) error: u32,
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Error,
}

#[derive(Debug)]
struct Stream {
    kind: Kind,
    request: String,
    port: u16,
    /// The other one of the pair.
    other: Option<u32>,
    /// The client sends nothing more.
    finished: bool,
}

/// The state of one connection.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The last stream that was opened.
    last: u32,
    leaving: bool,
    streams: BTreeMap<u32, Stream>,
}

impl Session {
    /// What a frame of the client's leads to.
    pub(crate) fn accept(&mut self, frame: Frame) -> Vec<Action> {
        match frame {
            Frame::SynStream { stream, headers, fin } => self.open(stream, headers, fin),
            Frame::Data { stream, bytes, fin } => self.data(stream, bytes, fin),
            Frame::Reset { stream, .. } => self.reset(stream),
            // Even ones are the server's own, and this one sends none.
            Frame::Ping(number) if number % 2 == 1 => vec![Action::Send(Frame::Ping(number))],
            Frame::GoAway { .. } => {
                self.leaving = true;
                self.end()
            }
            Frame::Ping(_) | Frame::SynReply { .. } | Frame::Headers { .. } => Vec::new(),
        }
    }

    /// What a data stream was connected to is gone, and both its streams were told.
    pub(crate) fn ended(&mut self, data: u32) -> Vec<Action> {
        if let Some(other) = self.streams.remove(&data).and_then(|stream| stream.other) {
            self.streams.remove(&other);
        }
        self.end()
    }

    /// Says goodbye after an error of the client's.
    pub(crate) fn protocol_error(&self) -> Frame {
        Frame::GoAway { last: self.last, status: status::PROTOCOL_ERROR }
    }

    /// Ends a stream whose target does not read.
    pub(crate) fn stalled(&mut self, data: u32) -> Vec<Action> {
        vec![Action::Send(Frame::Reset { stream: data, status: status::CANCEL }), Action::Abandon(data)]
    }

    fn end(&self) -> Vec<Action> {
        if self.leaving && self.streams.is_empty() { vec![Action::End] } else { Vec::new() }
    }

    fn open(&mut self, stream: u32, headers: Vec<(String, String)>, fin: bool) -> Vec<Action> {
        let refuse = |status| vec![Action::Send(Frame::Reset { stream, status })];
        if self.leaving {
            return Vec::new();
        }
        if stream.is_multiple_of(2) || stream <= self.last {
            return refuse(status::PROTOCOL_ERROR);
        }
        self.last = stream;
        if self.streams.len() >= MOST_STREAMS {
            return refuse(status::REFUSED);
        }
        let Some(mut new) = Stream::new(stream, &headers) else { return refuse(status::PROTOCOL_ERROR) };
        new.finished = fin;
        let mut open = self.streams.iter_mut().filter(|(_, known)| known.request == new.request);
        let mut actions = vec![Action::Send(Frame::SynReply { stream, headers: Vec::new(), fin: false })];
        match open.next() {
            None => {}
            Some((_, known)) if known.kind == new.kind || known.other.is_some() => return refuse(status::PROTOCOL_ERROR),
            Some((&number, known)) => {
                new.other = Some(number);
                known.other = Some(stream);
                let (data, error, port, finished) = match new.kind {
                    Kind::Data => (stream, number, new.port, new.finished),
                    Kind::Error => (number, stream, known.port, known.finished),
                };
                actions.push(Action::Connect(Pair { data, error, port }));
                if finished {
                    actions.push(Action::Finish(data));
                }
            }
        }
        self.streams.insert(stream, new);
        actions
    }

    fn data(&mut self, number: u32, bytes: Bytes, fin: bool) -> Vec<Action> {
        // What comes for a stream that has ended here was on its way. Nobody reads an error stream.
        let Some(stream) = self.streams.get_mut(&number).filter(|stream| stream.kind == Kind::Data && !stream.finished) else {
            return Vec::new();
        };
        if stream.other.is_none() && !bytes.is_empty() {
            // Clients open both streams before they send; nothing is kept for one that does not.
            self.streams.remove(&number);
            return vec![Action::Send(Frame::Reset { stream: number, status: status::PROTOCOL_ERROR })];
        }
        stream.finished = fin;
        let mut actions = Vec::new();
        if !bytes.is_empty() {
            actions.push(Action::Deliver(number, bytes));
        }
        if fin && stream.other.is_some() {
            actions.push(Action::Finish(number));
        }
        actions
    }

    fn reset(&mut self, number: u32) -> Vec<Action> {
        match self.streams.get(&number) {
            Some(stream) if stream.other.is_none() => {
                self.streams.remove(&number);
                self.end()
            }
            // It counts until its pair has ended.
            Some(stream) if stream.kind == Kind::Data => vec![Action::Abandon(number)],
            _ => Vec::new(),
        }
    }
}

impl Stream {
    /// `None` when the headers are not those of port-forward.
    fn new(number: u32, headers: &[(String, String)]) -> Option<Self> {
        let header = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let kind = match header("streamtype")? {
            "data" => Kind::Data,
            "error" => Kind::Error,
            _ => return None,
        };
        let port = header("port")?.parse().ok().filter(|port| *port != 0)?;
        if header("requestid").is_some_and(|request| request.len() > MOST_REQUEST) {
            return None;
        }
        // Old clients name no request, but open the error stream first and the data stream next.
        let request = header("requestid").map_or_else(
            || match kind {
                Kind::Error => number.to_string(),
                Kind::Data => number.saturating_sub(2).to_string(),
            },
            str::to_owned,
        );
        Some(Self { kind, request, port, other: None, finished: false })
    }
}
