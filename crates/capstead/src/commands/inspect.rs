//! Looking at planes: `status`, `ls`, `logs`, `kubeconfig`.

use std::process::ExitCode;

use anyhow::Context;
use capstead_plane::Layout;
use capstead_plane::Plane;
use capstead_plane::Status;
use capstead_plane::kubeconfig;
use capstead_plane::process;
use serde::Serialize;

use super::follow;
use super::layout;
use crate::cli::EXIT_NOT_READY;
use crate::cli::Kubeconfig;
use crate::cli::Logs;
use crate::cli::Ls;
use crate::cli::StatusArgs;
use crate::config::Config;
use crate::output;

/// Shows what a plane is doing.
pub fn status(config: &Config, args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let layout = layout(config, &args.which)?;
    let plane = Plane::load(&layout)?;
    let status = Status::read(&layout, &plane)?;
    output::print(args.output, &status, || status_table(&plane, &status))?;
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_READY) })
}

fn status_table(plane: &Plane, status: &Status) -> String {
    let dash = |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".into());
    let rows = status.components.iter().map(|component| {
        let ports = component.ports.iter().map(|port| if port.address == "*" { format!("*:{}", port.port) } else { port.port.to_string() });
        [
            component.name.clone(),
            component.state.to_string(),
            component.version.clone(),
            dash(Some(component.source.clone())),
            dash(component.pid.map(|pid| pid.to_string())),
            component.restarts.to_string(),
            dash(component.memory_bytes.map(output::bytes)),
            ports.collect::<Vec<_>>().join(","),
        ]
    });
    let mut text = output::table(["COMPONENT", "STATE", "VERSION", "SOURCE", "PID", "RESTARTS", "MEMORY", "PORTS"], rows);
    for component in status.components.iter().filter(|component| !component.message.is_empty()) {
        text += &format!("\n\n{}: {}", component.name, component.message);
        component.log.iter().for_each(|line| text += &format!("\n    {line}"));
    }
    if status.components.iter().any(|component| component.ports.iter().any(|port| port.address == "*")) {
        text += "\n\n* listens on all addresses: the component has no flag for it; everything else keeps to 127.0.0.1";
    }
    let name = &plane.name;
    if !status.supervisor.running {
        let running = status.components.iter().any(|component| component.pid.is_some());
        text += &if running {
            format!("\n\nThe supervisor is not running, its processes are; `capstead up --detach --name {name}` takes them over.")
        } else {
            format!("\n\nThe plane is down; `capstead up --detach --name {name}` brings it up.")
        };
    }
    text
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    state: &'static str,
    components: usize,
    ready: usize,
    cluster_api: Option<String>,
    server: Option<String>,
    dir: String,
}

/// Lists planes.
pub fn ls(config: &Config, args: &Ls) -> anyhow::Result<()> {
    let layouts = Layout::all(&config.data_dir(args.data_dir.as_ref()))?;
    let listed: Vec<Listed> = layouts.iter().map(list).collect::<anyhow::Result<_>>()?;
    output::print(args.output, &listed, || {
        let rows = listed.iter().map(|plane| {
            let (capi, server) =
                (plane.cluster_api.clone().unwrap_or_else(|| "-".into()), plane.server.clone().unwrap_or_else(|| "-".into()));
            [plane.name.clone(), plane.state.into(), format!("{}/{}", plane.ready, plane.components), capi, server]
        });
        output::table(["NAME", "STATE", "READY", "CLUSTER API", "SERVER"], rows)
    })
}

fn list(layout: &Layout) -> anyhow::Result<Listed> {
    let (name, dir) = (layout.name().to_owned(), layout.dir().display().to_string());
    let Ok(plane) = Plane::load(layout) else {
        return Ok(Listed { name, state: "damaged", components: 0, ready: 0, cluster_api: None, server: None, dir });
    };
    let status = Status::read(layout, &plane)?;
    let state = match (status.ready, status.supervisor.running, status.components.iter().any(|component| component.pid.is_some())) {
        (true, ..) => "ready",
        (false, false, false) => "down",
        (false, false, true) => "unsupervised",
        (false, true, _) => "not ready",
    };
    let core = plane.components.iter().find(|component| component.name == "capi-core");
    Ok(Listed {
        name,
        state,
        components: status.components.len(),
        ready: status.components.iter().filter(|component| component.ready).count(),
        cluster_api: core.map(|core| core.binary.version.clone()),
        server: plane.server(),
        dir,
    })
}

/// Shows what a component has written.
pub fn logs(config: &Config, args: &Logs) -> anyhow::Result<()> {
    let layout = layout(config, &args.which)?;
    let plane = Plane::load(&layout)?;
    let names: Vec<&str> = plane.components.iter().map(|component| component.name.as_str()).chain(["supervisor"]).collect();
    let log = match args.component.as_str() {
        "supervisor" => layout.supervisor_log(),
        name if names.contains(&name) => layout.log(name),
        name => anyhow::bail!("the plane {:?} has no component {name:?}; there are {}", plane.name, names.join(", ")),
    };
    let last = args.tail.map(|lines| process::log_tail(&log, lines));
    follow::show(&log, last, args.follow, || true)
}

/// Prints or merges the administrator's kubeconfig.
pub fn kubeconfig(config: &Config, args: &Kubeconfig) -> anyhow::Result<()> {
    let layout = layout(config, &args.which)?;
    let plane = Plane::load(&layout)?;
    let path = layout.kubeconfig();
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("the plane {:?} has no kubeconfig yet; bring it up first (`capstead up --name {0}`)", plane.name))?;
    if args.path {
        return output::line(&path.display().to_string());
    }
    if !args.merge {
        return output::line(&text);
    }
    let into = kubeconfig::users_file();
    kubeconfig::merge(&path, &into)?;
    output::line(&format!("{} has the context capstead-{} now, and it is the current one.", into.display(), plane.name))
}
