//! `relay`: ports of the loopback address, at another address of this machine. In a network namespace, where what listens on loopback is out of reach
//! from outside.

use std::io;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::Relay;

/// Before it is tried again to take a connection that could not be taken: mostly there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs until it is asked to end.
pub async fn run(args: Relay) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let ports = args.ports.iter().map(|port| serve(args.address, *port));
    tokio::select! {
        ended = try_join_all(ports) => ended.map(drop),
        _ = terminate.recv() => Ok(()),
    }
}

async fn serve(address: IpAddr, port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((address, port)).await.with_context(|| format!("cannot listen on {address}:{port}"))?;
    loop {
        match listener.accept().await {
            // The client sees the end of its connection; there is nobody else to tell.
            Ok((client, _)) => drop(tokio::spawn(pass(client, port))),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn pass(mut client: TcpStream, port: u16) -> io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}
