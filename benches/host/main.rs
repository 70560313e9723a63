//! What a microVM host costs, beside the least that the same takes by hand: QEMU from a shell, `tar -x`, `cp --reflink=auto`.
//!
//! `CAPSTEAD` names the binary to measure. Nothing is asserted: a figure is to be read, not to fail.

mod daemon;
mod images;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use capstead_flintlock::api::ListMicroVMsRequest;
use daemon::Daemon;

/// Turns of each side that count.
const TURNS: usize = 20;
const RECORDS: usize = 500;
/// Between two looks at a guest's console.
const LOOK: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let dir = tempfile::Builder::new().prefix("bench").tempdir()?;
    let images = images::make(dir.path())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let daemon = Daemon::start(&dir.path().join("s"), &images)?;
    start(&runtime, &daemon)?;
    if let Some(tar) = images::large() {
        unpack(&runtime, &daemon, dir.path(), &tar)?;
    } else {
        println!("\nno image of a whole system in the cache: `make test` makes one; unpacking and cloning are not measured");
    }
    records(&runtime, &daemon)
}

/// From a Create to the guest's first word, beside the same QEMU started by hand.
fn start(runtime: &tokio::runtime::Runtime, daemon: &Daemon) -> Outcome<()> {
    // The first brings the images, and shows how QEMU is called.
    let first = daemon.create(runtime, "first", "small")?;
    greeted(&daemon.serial(&first))?;
    let words = daemon.command(&first)?;
    let hand = daemon.state.join("hand");
    fs::create_dir_all(&hand)?;
    let (run, vm) = (daemon.state.join("run").join(&first), daemon.state.join("vm").join(&first));
    let copied = Command::new("cp").args(["-r", "--sparse=always"]).arg(&vm).arg(hand.join("vm")).status()?;
    if !copied.success() {
        return Err("cannot copy a microVM's files".into());
    }
    // An overlay names its base by its path.
    let base = hand.join("vm/root.base");
    if base.exists() {
        timed(Command::new("qemu-img").args(["rebase", "-u", "-F", "raw", "-b"]).arg(&base).arg(hand.join("vm/root.img")))?;
    }
    daemon.delete(runtime, &first)?;
    let to = |word: &String| {
        let word = word.replace(&*run.to_string_lossy(), &hand.join("run").to_string_lossy());
        word.replace(&*vm.to_string_lossy(), &hand.join("vm").to_string_lossy())
    };
    let words: Vec<String> = words.iter().map(to).collect();

    let (mut own, mut others) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let started = Instant::now();
        let uid = daemon.create(runtime, &format!("turn-{turn}"), "small")?;
        greeted(&daemon.serial(&uid))?;
        own.push(started.elapsed());
        daemon.delete(runtime, &uid)?;

        let _ = fs::remove_dir_all(hand.join("run"));
        fs::create_dir_all(hand.join("run"))?;
        let started = Instant::now();
        let mut process = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let waited = greeted(&hand.join("run/serial.log"));
        others.push(started.elapsed());
        process.kill()?;
        process.wait()?;
        waited?;
    }
    let (own, others) = (median(own), median(others));
    let milliseconds = |took: Duration| took.as_secs_f64() * 1000.0;
    println!("from Create to the guest's first word:  median {:6.1} ms of {TURNS}", milliseconds(own));
    println!("the same QEMU started by hand:          median {:6.1} ms", milliseconds(others));
    println!("more: {:.1} ms (aim: at most 100)", milliseconds(own) - milliseconds(others));
    Ok(())
}

/// A real image to a disk, and that disk once more.
fn unpack(runtime: &tokio::runtime::Runtime, daemon: &Daemon, dir: &Path, tar: &Path) -> Outcome<()> {
    let step = || daemon.step("make_root");
    let before = step()?;
    let first = daemon.create(runtime, "large-1", "large")?;
    daemon.runs(runtime, &first)?;
    let unpacked = step()?;
    let second = daemon.create(runtime, "large-2", "large")?;
    daemon.runs(runtime, &second)?;
    let cloned = step()?;

    let target = dir.join("tar");
    fs::create_dir_all(&target)?;
    let untarred = timed(Command::new("tar").arg("-xf").arg(tar).arg("-C").arg(&target))?;
    let disk = daemon.disk(&first);
    let mut copies = Vec::new();
    for _ in 0..5 {
        copies.push(timed(Command::new("cp").arg("--reflink=auto").arg(&disk).arg(dir.join("copy")))?);
        fs::remove_file(dir.join("copy"))?;
    }
    let copied = median(copies).as_secs_f64();
    let size = fs::metadata(tar)?.len() as f64 / 1e6;
    println!("\nan image of {size:.0} MB, checked, unpacked and made a disk: {:.2} s", unpacked - before);
    println!("tar -x of its layers: {:.2} s; ratio {:.2}", untarred.as_secs_f64(), (unpacked - before) / untarred.as_secs_f64());
    println!("\nthat disk for another microVM: {:.1} ms", (cloned - unpacked) * 1000.0);
    println!("cp --reflink=auto of it: {:.1} ms; ratio {:.3}", copied * 1000.0, (cloned - unpacked) / copied);
    daemon.delete(runtime, &first)?;
    daemon.delete(runtime, &second)
}

/// What remembering costs.
fn records(runtime: &tokio::runtime::Runtime, daemon: &Daemon) -> Outcome<()> {
    let empty = daemon.memory()?;
    for n in 0..RECORDS {
        // Their images never come.
        daemon.create(runtime, &format!("record-{n}"), "nowhere")?;
    }
    let full = daemon.memory()?;
    let mut took = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        let listed = runtime.block_on(async {
            let mut client = daemon.client().await?;
            Ok::<_, Box<dyn Error>>(client.list_micro_v_ms(ListMicroVMsRequest::default()).await?.into_inner().microvm.len())
        })?;
        took.push(started.elapsed());
        if listed != RECORDS {
            return Err(format!("{listed} microVMs are listed, not {RECORDS}").into());
        }
    }
    println!("\nmemory of the daemon: {:.1} MB with no record, {:.1} MB with {RECORDS}", empty, full);
    println!("List of {RECORDS}: median {:.1} ms of 50", median(took).as_secs_f64() * 1000.0);
    Ok(())
}

/// Waits for the guest's first word.
fn greeted(serial: &Path) -> Outcome<()> {
    let started = Instant::now();
    while !fs::read(serial).unwrap_or_default().ends_with(images::GREETING) {
        if started.elapsed() > PATIENCE {
            return Err(format!("no guest has written to {}", serial.display()).into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn timed(command: &mut Command) -> Outcome<Duration> {
    let started = Instant::now();
    let status = command.status()?;
    if status.success() { Ok(started.elapsed()) } else { Err(format!("{command:?}: {status}").into()) }
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
