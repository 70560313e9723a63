//! An HTTP server on a Unix socket, for one short request a connection.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use serde_json::Value;

/// A request.
pub struct Call {
    pub method: String,
    pub path: String,
    pub body: Option<Value>,
}

/// What to answer, and whether to end then.
pub struct Answer(pub u16, pub Value, pub bool);

/// Serves until an answer says to end.
pub fn serve(socket: &str, mut answer: impl FnMut(&Call) -> Result<Answer, String>) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{socket}: {error}");
    let listener = UnixListener::bind(socket).map_err(said)?;
    loop {
        let (stream, _) = listener.accept().map_err(said)?;
        let mut reader = BufReader::new(stream);
        let Some(call) = read(&mut reader).map_err(said)? else { continue };
        let Answer(status, body, end) = answer(&call)?;
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let head =
            format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
        let _ = reader.get_mut().write_all(format!("{head}{text}").as_bytes());
        if end {
            return Ok(());
        }
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Call>> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if head.is_empty() {
            head = line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    Ok(Some(Call { method: word(), path: word(), body: serde_json::from_slice(&body).ok() }))
}
