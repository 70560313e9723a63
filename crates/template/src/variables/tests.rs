use super::*;

fn get(variables: &Variables, name: &str) -> Option<String> {
    Lookup::get(variables, name)
}

#[test]
fn explicit_before_environment_before_configuration() {
    let mut variables = Variables::new().with_config_yaml("A: config\nB: config\nC: config\n").unwrap();
    variables = variables.with_env([("A", "env"), ("B", "env")]);
    variables.set("A", "explicit");
    assert_eq!(
        ["A", "B", "C", "D"].map(|name| get(&variables, name)),
        [Some("explicit".into()), Some("env".into()), Some("config".into()), None]
    );
    // empty is set
    variables = variables.with_env([("C", "")]);
    variables.set("b", "");
    assert_eq!(["B", "C"].map(|name| get(&variables, name)), [Some(String::new()), Some(String::new())]);
}

#[test]
fn names_match_in_any_case_but_the_environment_is_upper_case() {
    let variables = Variables::new().with_config_yaml("Mixed: 1\n").unwrap().with_env([("UP", "2"), ("low", "3")]);
    assert_eq!(
        ["MIXED", "mixed", "up", "Up", "low", "LOW"].map(|name| get(&variables, name)),
        [Some("1".into()), Some("1".into()), Some("2".into()), Some("2".into()), None, None]
    );
}

#[test]
fn the_process_environment_is_read() {
    let variables = Variables::new().with_process_env();
    let path = std::env::var("PATH").unwrap();
    assert_eq!(get(&variables, "PATH"), Some(path));
}

#[test]
fn configurations_that_are_none() {
    assert_eq!(Variables::new().with_config_yaml("# nothing\n").unwrap(), Variables::new());
    assert!(matches!(Variables::new().with_config_yaml("[a]"), Err(ConfigError::NotMapping)));
    assert!(matches!(Variables::new().with_config_yaml("a: [b"), Err(ConfigError::Yaml(_))));
}

#[test]
fn closures_are_sources_too() {
    let shout = |name: &str| (name != "NONE").then(|| format!("{name}!"));
    assert_eq!(crate::render("${A} ${NONE:=none}", &shout).unwrap(), "A! none");
    let object: &dyn Lookup = &shout;
    assert_eq!(crate::render("${A}", object).unwrap(), "A!");
}

#[test]
fn debug_output_keeps_values_secret() {
    let mut variables = Variables::new().with_config_yaml("CONFIG: hidden1").unwrap().with_env([("ENV", "hidden2")]);
    variables.set("SET", "hidden3");
    assert_eq!(format!("{variables:?}"), r#"Variables { explicit: ["set"], environment: ["ENV"], config: ["config"] }"#);
}
