//! `capstead vm`: a client of any host that speaks flintlock's protocol.

pub mod access;
mod console;
mod create;
mod delete;
mod documents;
pub mod find;
mod logs;
pub mod shell;
mod spec;
mod table;

use anyhow::Context;
use capstead_flintlock::json;
use capstead_flintlock::types::MicroVm;
use capstead_flintlock::types::micro_vm_status::MicroVmState;
use jiff::Timestamp;
use serde_json::Value;

use crate::cli::Output;
use crate::cli::vm::Vm;
use crate::cli::vm::VmGet;
use crate::cli::vm::VmLs;
use crate::cli::vm::VmOutput;
use crate::output;

/// Runs a command.
pub async fn run(command: Vm) -> anyhow::Result<()> {
    match command {
        Vm::Create(args) => create::run(*args).await,
        Vm::Ls(args) => ls(&args).await,
        Vm::Get(args) => get(&args).await,
        Vm::Delete(args) => delete::run(&args).await,
        Vm::Console(args) => console::run(&args).await,
        Vm::Logs(args) => logs::run(&args).await,
        Vm::Ssh(args) => shell::run(args).await,
    }
}

async fn ls(args: &VmLs) -> anyhow::Result<()> {
    let client = access::client(&args.host)?;
    let mut all = client.all(args.namespace.as_deref().unwrap_or_default(), "").await.map_err(access::explained)?;
    // Hosts list in no order; uids begin with the time.
    all.sort_by(|a, b| key(a).cmp(&key(b)));
    print(args.output, &Value::Array(all.iter().map(plain).collect::<anyhow::Result<_>>()?), |wide| {
        table::list(&all, wide, Timestamp::now())
    })
}

async fn get(args: &VmGet) -> anyhow::Result<()> {
    let client = access::client(&args.host)?;
    let microvm = find::one(&client, &args.target.microvm, args.target.namespace.as_deref()).await?;
    print(args.output, &plain(&microvm)?, |_| table::details(&microvm, Timestamp::now()))
}

fn key(microvm: &MicroVm) -> Option<(&str, &str, &str)> {
    microvm.spec.as_ref().map(|spec| (spec.namespace.as_str(), spec.id.as_str(), spec.uid()))
}

/// By protobuf's own mapping, as files for `create` are written.
fn plain(microvm: &MicroVm) -> anyhow::Result<Value> {
    json::write(microvm, json::Form::Plain).context("cannot print a microVM")
}

/// Prints as asked; `table` is told whether it shall be wide.
fn print(output: VmOutput, value: &Value, table: impl FnOnce(bool) -> String) -> anyhow::Result<()> {
    let (form, wide) = match output {
        VmOutput::Table => (Output::Table, false),
        VmOutput::Wide => (Output::Table, true),
        VmOutput::Json => (Output::Json, false),
        VmOutput::Yaml => (Output::Yaml, false),
    };
    output::print(form, value, || table(wide))
}

/// Its uid; empty where it has none.
pub fn uid(microvm: &MicroVm) -> &str {
    microvm.spec.as_ref().map(|spec| spec.uid()).unwrap_or_default()
}

/// As people call it.
pub fn name(microvm: &MicroVm) -> String {
    microvm.spec.as_ref().map(|spec| format!("{}/{}", spec.namespace, spec.id)).unwrap_or_default()
}

fn state(microvm: &MicroVm) -> Option<MicroVmState> {
    MicroVmState::try_from(microvm.status.as_ref()?.state).ok()
}

/// Why it is as it is, as far as the host tells.
fn cause(microvm: &MicroVm) -> &str {
    microvm.status.as_ref().map(|status| status.cause.as_str()).unwrap_or_default()
}
