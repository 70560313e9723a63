use super::*;

#[test]
fn every_version_has_all_its_parts() {
    let modules = modules();
    for version in cluster_api_versions().expect("readable") {
        let components = components(Some(&version)).expect("whole");
        assert_eq!(components.len(), COMPONENTS.len());
        for artifact in components.iter().map(|component| &component.binary).chain(&tools(Some(&version)).expect("whole")) {
            let go = artifact.go.as_ref().expect("can be built");
            let module = modules.iter().find(|module| module.name == go.module).unwrap_or_else(|| panic!("no module {}", go.module));
            assert!(module.go_mod.contains(&go.package), "{} does not name the tool {}", module.name, go.package);
            // What is built is what is said: the pinned module has the artifact's version.
            assert!(module.go_mod.contains(&format!(" {}", artifact.version)), "{} does not pin {}", module.name, artifact.version);
            assert!(!format!("{artifact:?}").contains("${"), "{artifact:?}");
        }
        for component in &components {
            if let Some(file) = &component.objects {
                assert!(packed_objects(file).is_some(), "{file}");
            }
        }
    }
}

#[test]
fn a_version_is_named_in_full_or_by_its_series() {
    let core = |version: &str| components(Some(version)).map(|all| all[3].binary.version.clone()).map_err(|e| e.to_string());
    assert_eq!(core("v1.13.6").as_deref(), Ok("v1.13.6"));
    assert_eq!(core("1.13").as_deref(), Ok("v1.13.6"));
    assert_eq!(core("1.14.2").as_deref(), Ok("v1.14.2"));
    assert_eq!(core("1.9"), Err("Cluster API 1.9 is not built in; there are v1.14.2, v1.13.6".into()));
}
