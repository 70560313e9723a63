//! Times `capstead up --detach` from warm binaries, and beside it, turn by turn, any command that starts the same parts and returns when they are ready.
//!
//! `make bench PEER='command'` prints the ratio of medians. The peer's processes are found by a mark in their environment and ended after each turn,
//! so any command will do. Nothing is asserted: a figure is to be read, not to fail.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

/// Turns of each side that count; one more before them warms caches.
const TURNS: usize = 5;
/// Carried by every process of the peer.
const MARK: &str = "CAPSTEAD_BENCH";

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let peer = std::env::var("PEER").ok().filter(|peer| !peer.trim().is_empty());
    let dir = tempfile::tempdir()?;
    let (mut own, mut others, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    println!("{:>6} {:>12} {:>12}   seconds until all is ready", "turn", "capstead", if peer.is_some() { "peer" } else { "" });
    for turn in 0..=TURNS {
        let (took, bytes) = capstead(dir.path())?;
        let other = peer.as_deref().map(run_peer).transpose()?;
        let shown = other.map_or(String::new(), |other| format!("{:.2}", other.as_secs_f64()));
        println!("{:>6} {:>12.2} {shown:>12}{}", turn, took.as_secs_f64(), if turn == 0 { "   (warm-up, not counted)" } else { "" });
        if turn > 0 {
            own.push(took);
            others.extend(other);
            memory.push(bytes);
        }
    }
    let own = median(own);
    println!(
        "\ncapstead up: median {:.2} s of {TURNS}; supervisor at most {:.1} MB",
        own.as_secs_f64(),
        megabytes(memory.into_iter().max())
    );
    if !others.is_empty() {
        let other = median(others);
        println!("peer:        median {:.2} s of {TURNS}", other.as_secs_f64());
        println!("ratio of medians, capstead / peer: {:.2}", own.as_secs_f64() / other.as_secs_f64());
    }
    Ok(())
}

/// Brings a fresh plane up and away again. Returns how long up took, and the supervisor's memory once all was ready.
fn capstead(dir: &Path) -> Outcome<(Duration, u64)> {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capstead"));
        command.args(args).args(["--name", "bench"]).arg("--data-dir").arg(dir).stdin(Stdio::null()).stderr(Stdio::inherit());
        command
    };
    let start = Instant::now();
    let up = run(&["up", "--detach"]).stdout(Stdio::null()).status()?;
    let took = start.elapsed();
    let status = run(&["status", "--output", "json"]).output()?;
    let down = run(&["down", "--purge"]).stdout(Stdio::null()).status()?;
    if !up.success() || !down.success() {
        return Err("the plane did not come up and go down; `capstead up` by hand tells more".into());
    }
    let status: serde_json::Value = serde_json::from_slice(&status.stdout)?;
    Ok((took, status["supervisor"]["memoryBytes"].as_u64().unwrap_or_default()))
}

fn run_peer(command: &str) -> Outcome<Duration> {
    let mark = std::process::id().to_string();
    let start = Instant::now();
    let status = Command::new("sh")
        .args(["-c", command])
        .env(MARK, &mark)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()?;
    let took = start.elapsed();
    end(&mark)?;
    if status.success() { Ok(took) } else { Err(format!("the peer failed: {command}").into()) }
}

/// Ends every process that carries the mark, and waits until they are gone.
fn end(mark: &str) -> Outcome<()> {
    let entry = format!("{MARK}={mark}");
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let carries = |pid: &u32| {
            std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| environ.split(|b| *b == 0).any(|e| e == entry.as_bytes()))
        };
        let pids = std::fs::read_dir("/proc")?.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let left: Vec<u32> = pids.filter(carries).collect();
        if left.is_empty() {
            return Ok(());
        }
        for pid in left {
            Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status()?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err("the peer's processes do not end".into())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: Option<u64>) -> f64 {
    bytes.unwrap_or_default() as f64 / 1e6
}
