//! Defaults of flags out of a file and the environment, as flintlockd's users have them: what is found becomes the flag's default, so that a flag still comes first.

use std::any::TypeId;
use std::collections::BTreeMap;

use clap::Command;

/// The values of a configuration file, by the flag's name.
///
/// # Errors
/// One is a list or a map.
pub fn plain(file: BTreeMap<String, yaml_serde::Value>) -> anyhow::Result<BTreeMap<String, String>> {
    let text = |(key, value): (String, yaml_serde::Value)| {
        let text = match value {
            yaml_serde::Value::Null => String::new(),
            yaml_serde::Value::Bool(value) => value.to_string(),
            yaml_serde::Value::Number(value) => value.to_string(),
            yaml_serde::Value::String(value) => value,
            _ => anyhow::bail!("{key}: a text, a number or a truth value is expected"),
        };
        Ok((key, text))
    };
    file.into_iter().map(text).collect()
}

/// `command` with defaults from the environment, else from the file; and the keys of the file that are no flag's.
pub fn layered(
    mut command: Command,
    environment: impl Fn(&str) -> Option<String>,
    mut file: BTreeMap<String, String>,
) -> (Command, Vec<String>) {
    let flags: Vec<(String, String, bool)> = command
        .get_arguments()
        .filter_map(|arg| {
            Some((arg.get_id().to_string(), arg.get_long()?.to_owned(), arg.get_value_parser().type_id() == TypeId::of::<bool>()))
        })
        .collect();
    for (id, name, is_switch) in flags {
        let from_file = file.remove(&name);
        // flintlockd keeps the dashes, which no shell can set.
        let capitals = name.to_uppercase();
        let names = [format!("FLINTLOCKD_{capitals}"), format!("FLINTLOCKD_{}", capitals.replace('-', "_"))];
        let value = names.iter().find_map(|name| environment(name)).or(from_file);
        // A flag that is needed with others must not seem to be there when it says nothing.
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        let value = if is_switch { truth(&value) } else { value };
        command = command.mut_arg(id, |arg| arg.default_value(value));
    }
    (command, file.into_keys().collect())
}

/// Truth as Go's flags have it.
fn truth(text: &str) -> String {
    let is = ["1", "t", "true"].contains(&text.to_lowercase().as_str());
    is.to_string()
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;
    use clap::Subcommand;

    use super::*;
    use crate::cli::host::Host;
    use crate::cli::host::HostRun;

    fn run(args: &[&str], environment: &[(&str, &str)], file: &str) -> (HostRun, Vec<String>) {
        let file = plain(yaml_serde::from_str(file).expect("YAML")).expect("plain values");
        let find = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let command = Host::augment_subcommands(Command::new("host"));
        let mut unknown = Vec::new();
        let command = command.mut_subcommand("run", |run| {
            let (run, left) = layered(run, find, file);
            unknown = left;
            run
        });
        let matches = command.try_get_matches_from(["host", "run"].iter().chain(args)).expect("parsed");
        match Host::from_arg_matches(&matches).expect("a command") {
            Host::Run(run) => (*run, unknown),
            _ => panic!("another command"),
        }
    }

    #[test]
    fn a_flag_comes_before_the_environment_and_that_before_the_file() {
        let file = "bridge-name: file\nparent-iface: file\nstate-dir: /file\nverbosity: 9\ninsecure: true\nenable-http: false\n";
        let environment =
            [("FLINTLOCKD_BRIDGE_NAME", "environment"), ("FLINTLOCKD_PARENT-IFACE", "environment"), ("FLINTLOCKD_INSECURE", "0")];
        let (run, unknown) = run(&["--bridge-name", "flag"], &environment, file);
        assert_eq!((run.bridge_name.as_str(), run.parent_iface.as_str(), run.state_dir.to_str()), ("flag", "environment", Some("/file")));
        assert_eq!((run.verbosity, run.insecure, run.enable_http, run.grpc_endpoint.as_str()), (9, false, false, "localhost:9090"));
        assert_eq!(unknown, Vec::<String>::new());
    }

    #[test]
    fn a_switch_is_turned_on_and_off_as_with_gos_flags() {
        assert!(run(&[], &[("FLINTLOCKD_ENABLE_HTTP", "true")], "{}").0.enable_http);
        assert!(run(&["--insecure"], &[], "{}").0.insecure);
        assert!(!run(&["--insecure=false"], &[("FLINTLOCKD_INSECURE", "T")], "{}").0.insecure);
    }

    #[test]
    fn what_is_no_flag_is_told_and_what_means_nothing_accepted() {
        let (run, unknown) = run(&["--containerd-ns", "x"], &[], "containerd-socket: /run/c.sock\nbridge: br0\n");
        assert_eq!((run.meaningless.given(), unknown), (vec!["--containerd-socket", "--containerd-ns"], vec!["bridge".to_owned()]));
    }

    #[test]
    fn an_empty_value_is_none() {
        let (run, _) = run(&[], &[("FLINTLOCKD_TLS_CERT", "")], "tls-key: ''\nbasic-auth-token:\n");
        assert_eq!((run.tls_cert, run.tls_key, run.basic_auth_token), (None, None, None));
    }

    #[test]
    fn lists_are_no_values() {
        let file = yaml_serde::from_str("bridge-name: [a]").expect("YAML");
        assert_eq!(plain(file).expect_err("refused").to_string(), "bridge-name: a text, a number or a truth value is expected");
    }
}
