//! A Firecracker that takes what the real one's definitions name, and nothing else: `src/firecracker/swagger/firecracker.yaml` (1.17.0-dev) and the
//! arguments of `src/firecracker/src/main.rs`, both at 81b38b9 (2026-08-21). What Capstead does not use is left out, and so refused.

use std::io::Write;

use serde_json::{Value, json};

use super::schema::{Field, Kind, check};
use super::server::{Answer, serve};

/// Arguments that take a value.
const VALUED: [&str; 5] = ["--id", "--api-sock", "--config-file", "--metadata", "--mmds-size-limit"];
const BARE: [&str; 1] = ["--no-api"];

const BOOT_SOURCE: &[Field] =
    &[Field("kernel_image_path", Kind::Text, true), Field("boot_args", Kind::Text, false), Field("initrd_path", Kind::Text, false)];
const DRIVE: &[Field] = &[
    Field("drive_id", Kind::Text, true),
    Field("is_root_device", Kind::Bool, true),
    // Required for disks of files.
    Field("path_on_host", Kind::Text, true),
    Field("is_read_only", Kind::Bool, true),
    Field("cache_type", Kind::OneOf(&["Unsafe", "Writeback"]), false),
];
const MACHINE: &[Field] = &[
    Field("vcpu_count", Kind::Number(1, 32), true),
    Field("mem_size_mib", Kind::Number(1, u64::MAX), true),
    Field("smt", Kind::Bool, false),
    Field("track_dirty_pages", Kind::Bool, false),
];
const NIC: &[Field] = &[
    Field("iface_id", Kind::Text, true),
    Field("host_dev_name", Kind::Text, true),
    Field("guest_mac", Kind::Text, false),
    Field("mtu", Kind::Number(68, 65535), false),
];
const MMDS: &[Field] = &[Field("version", Kind::OneOf(&["V1", "V2"]), false), Field("network_interfaces", Kind::Texts, true)];
const VSOCK: &[Field] = &[Field("guest_cid", Kind::Number(3, u32::MAX as u64), true), Field("uds_path", Kind::Text, true)];
const LOGGER: &[Field] = &[
    Field("level", Kind::OneOf(&["Error", "Warning", "Info", "Debug", "Trace", "Off"]), false),
    Field("log_path", Kind::Text, false),
    Field("show_level", Kind::Bool, false),
];
/// `drives` is not marked required in the definition, but the parser (`VmmConfig` in `src/vmm/src/resources.rs`) has no default for it.
const CONFIG: &[Field] = &[
    Field("boot-source", Kind::Object(BOOT_SOURCE), true),
    Field("drives", Kind::Objects(DRIVE), true),
    Field("machine-config", Kind::Object(MACHINE), false),
    Field("network-interfaces", Kind::Objects(NIC), false),
    Field("mmds-config", Kind::Object(MMDS), false),
    Field("vsock", Kind::Object(VSOCK), false),
    Field("logger", Kind::Object(LOGGER), false),
    Field("entropy", Kind::Object(&[]), false),
];
const ACTION: &[Field] = &[Field("action_type", Kind::OneOf(&["FlushMetrics", "InstanceStart", "SendCtrlAltDel"]), true)];

pub fn play(args: &[String]) -> Result<(), String> {
    let mut given: Vec<(&str, &str)> = Vec::new();
    let mut rest = args.iter().map(String::as_str);
    while let Some(name) = rest.next() {
        if given.iter().any(|(known, _)| *known == name) {
            return Err(format!("{name} twice"));
        }
        match (VALUED.contains(&name), BARE.contains(&name)) {
            (true, _) => given.push((name, rest.next().ok_or(format!("{name} wants a value"))?)),
            (_, true) => given.push((name, "")),
            _ => return Err(format!("{name} is unknown")),
        }
    }
    let get = |name: &str| given.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let id = get("--id").unwrap_or("anonymous-instance");
    if !(1..=64).contains(&id.len()) || !id.chars().all(|c| c == '-' || c.is_alphanumeric()) {
        return Err(format!("--id may not be {id}"));
    }
    let config = document(get("--config-file").ok_or("no --config-file")?)?;
    check("config", &config, CONFIG)?;
    meaning(&config)?;
    if let Some(path) = get("--metadata") {
        let limit = get("--mmds-size-limit").map_or(Ok(51_200), str::parse::<usize>).map_err(|error| error.to_string())?;
        let metadata = document(path)?;
        if !metadata.is_object() || metadata.to_string().len() > limit {
            return Err("metadata is no object, or too large".to_owned());
        }
    }
    println!("capstead: alive");
    std::io::stdout().flush().map_err(|error| error.to_string())?;
    let Some(socket) = get("--api-sock").filter(|_| get("--no-api").is_none()) else { return Ok(()) };
    let deaf = config["boot-source"]["boot_args"].as_str().is_some_and(|args| args.split(' ').any(|word| word == "deaf"));
    serve(socket, |call| match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/") => {
            Ok(Answer(200, json!({"app_name": "Firecracker", "id": id, "state": "Running", "vmm_version": "1.17.0-dev"}), false))
        }
        ("PUT", "/actions") => {
            check("action", call.body.as_ref().unwrap_or(&Value::Null), ACTION)?;
            Ok(Answer(204, Value::Null, !deaf))
        }
        (method, path) => Err(format!("{method} {path} is unknown")),
    })
}

fn document(path: &str) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{path}: {error}"))
}

/// What the definition says in words, and what the VMM does with files.
fn meaning(config: &Value) -> Result<(), String> {
    let ids = |list: &str, field: &str| -> Vec<String> {
        let items = config[list].as_array().into_iter().flatten();
        items.map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
    };
    let (drives, nics) = (ids("drives", "drive_id"), ids("network-interfaces", "iface_id"));
    for id in drives.iter().chain(&nics) {
        if id.is_empty() || !id.chars().all(|c| c == '_' || c.is_alphanumeric()) {
            return Err(format!("the id {id} may hold letters, digits and underscores"));
        }
    }
    let unique = |ids: &[String]| ids.iter().collect::<std::collections::BTreeSet<_>>().len() == ids.len();
    if !unique(&drives) || !unique(&nics) {
        return Err("an id twice".to_owned());
    }
    let served = config["mmds-config"]["network_interfaces"].as_array().into_iter().flatten().filter_map(Value::as_str);
    if let Some(stranger) = { served }.find(|id| !nics.iter().any(|nic| nic == id)) {
        return Err(format!("mmds-config names {stranger}, which is no interface"));
    }
    let boot = &config["boot-source"];
    if boot["boot_args"].as_str().is_some_and(|args| args.len() > 2047) {
        return Err("boot_args are too long".to_owned());
    }
    let files = ["kernel_image_path", "initrd_path"].map(|name| boot[name].as_str().map(str::to_owned));
    let files = files.into_iter().flatten().chain(ids("drives", "path_on_host"));
    for file in files {
        std::fs::File::open(&file).map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(())
}
