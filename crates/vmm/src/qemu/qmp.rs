//! A client of the QEMU Machine Protocol: one JSON document a line, over a Unix socket.
//! See <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::request;
use crate::driver::ControlError;

/// Longest line that is read. QEMU's answers to what is asked here take a few hundred bytes.
const LINE_MAX: usize = 1 << 20;
/// Most events kept while a command waits for its answer; older ones are dropped.
const EVENTS_MAX: usize = 64;

/// A connection, after its greeting. QEMU serves one at a time on each socket.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
    /// Bytes of a line that is not whole yet: a wait that is dropped loses none.
    line: Vec<u8>,
    patience: Duration,
    next: u64,
    events: Vec<(String, Value)>,
}

/// A line of QEMU's.
#[derive(Debug, PartialEq)]
enum Message {
    Greeting,
    Return { id: Option<u64>, value: Value },
    Error { id: Option<u64>, why: String },
    Event { name: String, data: Value },
}

impl Message {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let Ok(Value::Object(mut fields)) = serde_json::from_slice(line) else {
            let start: String = String::from_utf8_lossy(line).chars().take(80).collect();
            return Err(format!("no JSON object: {start}"));
        };
        let id = fields.get("id").and_then(Value::as_u64);
        if fields.contains_key("QMP") {
            return Ok(Self::Greeting);
        }
        if let Some(value) = fields.remove("return") {
            return Ok(Self::Return { id, value });
        }
        if let Some(error) = fields.get("error") {
            let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("?").to_owned();
            return Ok(Self::Error { id, why: format!("{}: {}", text("class"), text("desc")) });
        }
        match fields.remove("event") {
            Some(Value::String(name)) => Ok(Self::Event { name, data: fields.remove("data").unwrap_or(Value::Null) }),
            _ => Err("neither answer nor event".to_owned()),
        }
    }
}

impl Qmp {
    /// Connects and agrees on capabilities (none). `patience` is how long this may take, and each command later.
    ///
    /// # Errors
    /// Nobody listens, or QEMU does not answer in time.
    pub async fn connect(socket: &Path, patience: Duration) -> Result<Self, ControlError> {
        let during = "the greeting";
        let failed = |source| ControlError::Connect { path: socket.to_owned(), source };
        let late = |_| ControlError::Timeout { during: during.to_owned(), limit: patience };
        let stream = timeout(patience, UnixStream::connect(socket)).await.map_err(late)?.map_err(failed)?;
        let mut qmp = Self { stream: BufReader::new(stream), line: Vec::new(), patience, next: 1, events: Vec::new() };
        match timeout(patience, qmp.read(during)).await.map_err(late)?? {
            Message::Greeting => qmp.execute("qmp_capabilities", None).await.map(|_| qmp),
            other => Err(ControlError::Garbled { during: during.to_owned(), what: format!("{other:?}") }),
        }
    }

    /// Executes a command and returns its value. A QEMU that ends because it was told to `quit` has obeyed.
    ///
    /// # Errors
    /// QEMU refuses, does not answer in time, or ends.
    pub async fn execute(&mut self, command: &str, arguments: Option<Value>) -> Result<Value, ControlError> {
        let id = self.next;
        self.next += 1;
        let mut line = request(id, command, arguments).to_string();
        line.push('\n');
        let patience = self.patience;
        match timeout(patience, self.converse(id, command, line)).await {
            Ok(Err(ControlError::Broken { .. })) if command == "quit" => Ok(Value::Null),
            Ok(result) => result,
            Err(_) => Err(ControlError::Timeout { during: command.to_owned(), limit: patience }),
        }
    }

    async fn converse(&mut self, id: u64, command: &str, line: String) -> Result<Value, ControlError> {
        let broken = |source| ControlError::Broken { during: command.to_owned(), source: Some(source) };
        self.stream.get_mut().write_all(line.as_bytes()).await.map_err(broken)?;
        loop {
            match self.read(command).await? {
                Message::Return { id: Some(answered), value } if answered == id => return Ok(value),
                // An error without an id is about a line that could not be read: ours is the only one.
                Message::Error { id: answered, why } if answered.is_none_or(|answered| answered == id) => {
                    return Err(ControlError::Refused { during: command.to_owned(), why });
                }
                // The answer to a command that was given up.
                Message::Return { .. } | Message::Error { .. } | Message::Greeting => {}
                Message::Event { name, data } => self.keep(name, data),
            }
        }
    }

    fn keep(&mut self, name: String, data: Value) {
        if self.events.len() == EVENTS_MAX {
            self.events.remove(0);
        }
        self.events.push((name, data));
    }

    /// The next event, by name and data, however long it takes. Dropping the wait loses none.
    ///
    /// # Errors
    /// QEMU ended, or said something that makes no sense.
    pub async fn event(&mut self) -> Result<(String, Value), ControlError> {
        if !self.events.is_empty() {
            return Ok(self.events.remove(0));
        }
        loop {
            if let Message::Event { name, data } = self.read("waiting for events").await? {
                return Ok((name, data));
            }
        }
    }

    async fn read(&mut self, during: &str) -> Result<Message, ControlError> {
        let broken = |source: Option<io::Error>| ControlError::Broken { during: during.to_owned(), source };
        loop {
            let bytes = self.stream.fill_buf().await.map_err(|error| broken(Some(error)))?;
            if bytes.is_empty() {
                return Err(broken(None));
            }
            let end = bytes.iter().position(|b| *b == b'\n');
            let taken = end.map_or(bytes.len(), |end| end + 1);
            let garbled = |what: String| ControlError::Garbled { during: during.to_owned(), what };
            if self.line.len() + taken > LINE_MAX {
                return Err(garbled(format!("a line of more than {LINE_MAX} bytes")));
            }
            self.line.extend_from_slice(&bytes[..taken]);
            self.stream.consume(taken);
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                return Message::parse(line.trim_ascii()).map_err(garbled);
            }
        }
    }
}

#[cfg(test)]
mod tests;
