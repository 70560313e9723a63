//! Kubernetes events: news for people. They are sent beside the work and never hold it up.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

/// News about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whether somebody should look at it.
    pub warning: bool,
    /// One CamelCase word.
    pub reason: String,
    /// A sentence.
    pub note: String,
}

/// Where news goes.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<(News, ObjectReference)>,
}

/// What waits to be sent at most; more is dropped, for events may be lost by their nature.
const WAITING: usize = 4096;
/// Bytes of a note that the API server takes.
const NOTE: usize = 1024;

impl Events {
    /// Sends events as `controller`. The future sends them, and ends when the last clone of the first is dropped.
    pub fn new(client: Client, controller: &str) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, mut waiting) = mpsc::channel::<(News, ObjectReference)>(WAITING);
        let recorder = Recorder::new(client, Reporter { controller: controller.to_owned(), instance: None });
        let send = async move {
            while let Some((news, about)) = waiting.recv().await {
                let event = Event {
                    type_: if news.warning { EventType::Warning } else { EventType::Normal },
                    action: news.reason.clone(),
                    reason: news.reason,
                    note: Some(truncated(news.note)).filter(|note| !note.is_empty()),
                    secondary: None,
                };
                if let Err(error) = recorder.publish(&event, &about).await {
                    tracing::debug!(error = %crate::error_chain(&error), "an event was not taken");
                }
            }
        };
        (Self { sender }, send)
    }

    /// Tells news about an object.
    pub fn tell(&self, news: News, about: ObjectReference) {
        if self.sender.try_send((news, about)).is_err() {
            tracing::debug!("too many events wait, one is dropped");
        }
    }
}

fn truncated(mut note: String) -> String {
    if note.len() > NOTE {
        let end = (0..=NOTE - 3).rev().find(|end| note.is_char_boundary(*end)).unwrap_or_default();
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::{NOTE, truncated};

    #[test]
    fn a_note_fits() {
        assert_eq!(truncated("short".into()), "short");
        for long in ["x".repeat(5000), "ü".repeat(600)] {
            let note = truncated(long);
            assert!(note.len() <= NOTE && note.ends_with('…'), "{}", note.len());
        }
    }
}
