//! Whether an address answers from here. Nothing is sent.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use capstead_doctor::picture::Reach;
use futures::StreamExt;
use futures::stream;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connections at once.
const AT_ONCE: usize = 32;

/// Tries all.
pub async fn all(addresses: BTreeSet<String>, limit: Duration) -> BTreeMap<String, Reach> {
    let tries = addresses.into_iter().map(|address| async move {
        let reach = one(&address, limit).await;
        (address, reach)
    });
    stream::iter(tries).buffer_unordered(AT_ONCE).collect().await
}

async fn one(address: &str, limit: Duration) -> Reach {
    match timeout(limit, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Reach::Open,
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ConnectionRefused => Reach::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Reach::NoRoute,
            ErrorKind::TimedOut => Reach::Silent,
            _ => Reach::Failed(error.to_string()),
        },
        Err(_) => Reach::Silent,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use capstead_doctor::picture::Reach;
    use tokio::net::TcpListener;

    use super::all;

    #[tokio::test]
    async fn who_answers_is_told_from_who_does_not() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let open_at = open.local_addr().unwrap().to_string();
        let addresses = [open_at.clone(), refused.clone(), "no address".to_owned()];
        let reached = all(addresses.into(), Duration::from_secs(5)).await;
        assert_eq!((&reached[&open_at], &reached[&refused]), (&Reach::Open, &Reach::Refused));
        assert!(matches!(reached["no address"], Reach::Failed(_)), "{reached:?}");
    }
}
