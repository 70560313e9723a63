//! `vm create`.

use std::io::Read;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use capstead_artifact::Event;
use capstead_artifact::Progress;
use capstead_flintlock::CallError;
use capstead_flintlock::Client;
use capstead_flintlock::json;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::micro_vm_status::MicroVmState;

use super::access;
use super::access::explained;
use super::cause;
use super::documents;
use super::documents::Documents;
use super::name;
use super::plain;
use super::spec;
use super::state;
use super::table;
use super::uid;
use crate::cli::vm::VmCreate;
use crate::cli::vm::VmOutput;
use crate::progress::Bars;

/// Between looks at a microVM that is waited for.
const LOOK: Duration = Duration::from_millis(300);
/// The largest file read: a spec comes to the host in a message of at most 4 MiB.
const LARGEST: u64 = 4 << 20;

/// Has a microVM made.
pub async fn run(args: VmCreate) -> anyhow::Result<()> {
    let begin = match &args.file {
        Some(path) => Some(spec::read(&text("--file", path)?).with_context(|| format!("{}: is no spec of a microVM", path.display()))?),
        None => None,
    };
    let documents = Documents {
        user_data: args.user_data.as_deref().map(|path| bytes("--user-data", path)).transpose()?,
        ssh_keys: keys(&args)?,
        further: args
            .metadata
            .iter()
            .map(|pair| Ok((pair.key.clone(), bytes("--metadata", Path::new(&pair.value))?)))
            .collect::<anyhow::Result<_>>()?,
    };
    let spec = spec::spec(begin, &args, &documents, made_up)?;
    if args.dry_run {
        let value = json::write(&spec, json::Form::Plain).context("cannot print the spec")?;
        // A spec as people read and write it is YAML.
        let output = if args.output == VmOutput::Json { VmOutput::Json } else { VmOutput::Yaml };
        return super::print(output, &value, |_| String::new());
    }
    let client = access::client(&args.host)?;
    let called = format!("{}/{}", spec.namespace, spec.id);
    let mut made = client.create(spec).await.map_err(|error| match error {
        CallError::Transient { .. } => explained(error).context(format!(
            "it is not known whether {called} is made: `capstead vm ls` tells, and trying again is safe on Capstead's hosts"
        )),
        error => explained(error),
    })?;
    if args.wait {
        let bars = Bars::new();
        let waited = until_it_runs(&client, &made, args.timeout, &bars).await;
        bars.clear();
        made = waited?;
    }
    super::print(args.output, &plain(&made)?, |_| told(&made))
}

/// What is told of one that was made.
fn told(made: &MicroVm) -> String {
    let (name, uid) = (name(made), uid(made));
    match state(made) {
        Some(MicroVmState::Created) => {
            let addresses = table::addresses(made).join(", ");
            let at = if addresses.is_empty() { String::new() } else { format!(" at {addresses}") };
            format!("microVM {name} ({uid}) runs{at}")
        }
        _ => format!("microVM {name} ({uid}) is being made; `capstead vm get {uid}` shows how far it is"),
    }
}

async fn until_it_runs(client: &Client, made: &MicroVm, limit: Duration, bars: &Bars) -> anyhow::Result<MicroVm> {
    let (name, uid) = (name(made), uid(made));
    let begun = Instant::now();
    let mut seen;
    loop {
        match client.get(uid).await {
            Ok(microvm) => {
                let why = cause(&microvm);
                match state(&microvm) {
                    Some(MicroVmState::Created) => return Ok(microvm),
                    Some(MicroVmState::Failed) => {
                        bail!("microVM {name} ({uid}) has failed: {}", if why.is_empty() { "its host does not say why" } else { why })
                    }
                    Some(MicroVmState::Deleting) => bail!("microVM {name} ({uid}) is being deleted"),
                    _ => seen = if why.is_empty() { "it is pending".to_owned() } else { format!("it is pending: {why}") },
                }
            }
            Err(CallError::NotFound { .. }) => bail!("microVM {name} ({uid}) was deleted"),
            Err(error @ CallError::Terminal { .. }) => return Err(explained(error)),
            Err(error) => seen = format!("{:#}", anyhow::Error::new(error)),
        }
        if begun.elapsed() >= limit {
            bail!(
                "microVM {name} ({uid}) does not run after {limit:?}: {seen}; it is not given up by its host, and `capstead vm get {uid}` shows how far it is"
            );
        }
        bars.event(&name, Event::Message { text: seen.clone() });
        tokio::time::sleep(LOOK).await;
    }
}

fn keys(args: &VmCreate) -> anyhow::Result<Vec<String>> {
    let mut keys = Vec::new();
    for path in &args.ssh_key {
        let found = documents::public_keys(&text("--ssh-key", path)?).with_context(|| format!("--ssh-key {}", path.display()))?;
        keys.extend(found);
    }
    Ok(keys)
}

fn text(flag: &str, path: &Path) -> anyhow::Result<String> {
    String::from_utf8(bytes(flag, path)?).with_context(|| format!("{flag} {}: is no text", path.display()))
}

fn bytes(flag: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("{flag}: cannot read {}", path.display()))?;
    if bytes.len() as u64 > LARGEST {
        bail!("{flag} {}: is larger than {LARGEST} bytes, which no host takes", path.display());
    }
    Ok(bytes)
}

/// A name that others are not likely to have.
fn made_up() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let letter = |_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    format!("vm-{}", (0..6).map(letter).collect::<String>())
}
