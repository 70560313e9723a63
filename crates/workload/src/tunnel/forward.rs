//! One port-forward connection: frames from the client to what is connected, and back.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use axum::body::Bytes;
use futures::Sink;
use futures::SinkExt;
use futures::Stream;
use futures::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::frame::Decoder;
use super::frame::Encoder;
use super::frame::Frame;
use super::session::Action;
use super::session::Pair;
use super::session::Session;

#[cfg(test)]
mod tests;

/// How many frames wait for the client, and how many chunks for a target, before what makes them has to wait.
const QUEUE: usize = 16;
/// How much is read from a target at once.
const CHUNK: usize = 16 * 1024;
/// How long a target may read nothing before its stream is reset. Others of the connection wait meanwhile: SPDY as it is used here knows no windows.
const STALL: Duration = Duration::from_secs(10);
/// How long the last frames may take.
const GOODBYE: Duration = Duration::from_secs(5);

/// The client's side of a pair. Dropped, it cuts the pair.
struct Input {
    bytes: Option<mpsc::Sender<Bytes>>,
    _cut: oneshot::Sender<()>,
}

/// Serves a client until it leaves.
pub(super) async fn run<I, O, C, F>(incoming: I, mut outgoing: O, connect: C)
where
    I: Stream<Item = io::Result<Bytes>> + Unpin,
    O: Sink<Bytes, Error = io::Error> + Unpin,
    C: Fn(u16) -> F,
    F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
{
    let (frames, mut queue) = mpsc::channel(QUEUE);
    let write = async {
        let mut encoder = Encoder::default();
        while let Some(frame) = queue.recv().await {
            if outgoing.send(encoder.encode(&frame).into()).await.is_err() {
                return;
            }
        }
        // The client may have left before us.
        let _ = outgoing.close().await;
    };
    tokio::pin!(write);
    tokio::select! {
        () = &mut write => {}
        () = read(incoming, frames, connect) => {
            // Whether the client still reads is its own affair.
            let _ = timeout(GOODBYE, write).await;
        }
    }
}

/// Reads frames until the client leaves; then nothing it was connected to remains.
async fn read<I, C, F>(mut incoming: I, frames: mpsc::Sender<Frame>, connect: C)
where
    I: Stream<Item = io::Result<Bytes>> + Unpin,
    C: Fn(u16) -> F,
    F: Future<Output = io::Result<DuplexStream>> + Send + 'static,
{
    let mut session = Session::default();
    let mut decoder = Decoder::default();
    let mut inputs = HashMap::new();
    let mut pairs = JoinSet::new();
    loop {
        let mut actions = Vec::new();
        tokio::select! {
            chunk = incoming.next() => match chunk {
                None | Some(Err(_)) => return,
                Some(Ok(bytes)) => decoder.push(bytes),
            },
            Some(ended) = pairs.join_next() => {
                // A pair that panicked says so in the log of tasks; its streams stay taken.
                let Ok(data) = ended else { continue };
                inputs.remove(&data);
                actions = session.ended(data);
            }
        }
        loop {
            for action in std::mem::take(&mut actions) {
                match action {
                    Action::Send(frame) => {
                        if frames.send(frame).await.is_err() {
                            return;
                        }
                    }
                    Action::Connect(pair) => {
                        let (sender, bytes) = mpsc::channel(QUEUE);
                        let (cut, is_cut) = oneshot::channel();
                        inputs.insert(pair.data, Input { bytes: Some(sender), _cut: cut });
                        pairs.spawn(serve(pair, connect(pair.port), bytes, is_cut, frames.clone()));
                    }
                    Action::Deliver(data, bytes) => {
                        let Some(sender) = inputs.get(&data).and_then(|input| input.bytes.as_ref()) else { continue };
                        // An error is a target that is gone: the pair is about to end.
                        if timeout(STALL, sender.send(bytes)).await.is_err() {
                            actions.extend(session.stalled(data));
                        }
                    }
                    Action::Finish(data) => {
                        if let Some(input) = inputs.get_mut(&data) {
                            input.bytes = None;
                        }
                    }
                    Action::Abandon(data) => {
                        inputs.remove(&data);
                    }
                    Action::End => return,
                }
            }
            if !actions.is_empty() {
                continue;
            }
            match decoder.next_frame() {
                Ok(Some(frame)) => actions = session.accept(frame),
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "a port-forward client does not speak SPDY/3.1");
                    // If it cannot be told, it is gone.
                    let _ = frames.send(session.protocol_error()).await;
                    return;
                }
            }
        }
    }
}

/// Connects a pair and copies until the target ends or the client cuts it. Then both its streams end.
async fn serve(
    pair: Pair,
    target: impl Future<Output = io::Result<DuplexStream>>,
    bytes: mpsc::Receiver<Bytes>,
    cut: oneshot::Receiver<()>,
    frames: mpsc::Sender<Frame>,
) -> u32 {
    let (reset, message) = tokio::select! {
        _ = cut => (true, String::new()),
        copied = copy(pair.data, target, bytes, &frames) => {
            (false, copied.err().map_or_else(String::new, |error| format!("error forwarding port {}: {error}", pair.port)))
        }
    };
    let end = |stream, bytes: Bytes| Frame::Data { stream, bytes, fin: true };
    // If they cannot be sent, the client is gone.
    let _ = frames.send(end(pair.error, message.into())).await;
    if !reset {
        let _ = frames.send(end(pair.data, Bytes::new())).await;
    }
    pair.data
}

async fn copy(
    data: u32,
    target: impl Future<Output = io::Result<DuplexStream>>,
    mut bytes: mpsc::Receiver<Bytes>,
    frames: &mpsc::Sender<Frame>,
) -> io::Result<()> {
    let (mut from, mut to) = tokio::io::split(target.await?);
    let write = async {
        while let Some(bytes) = bytes.recv().await {
            if to.write_all(&bytes).await.is_err() {
                // It is gone: the reading side is about to see its end.
                break;
            }
        }
        let _ = to.shutdown().await;
        // What comes from now on is not wanted.
        drop(bytes);
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            if frames.send(Frame::Data { stream: data, bytes, fin: false }).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! {
        () = write => Ok(()),
        done = read => done,
    }
}
