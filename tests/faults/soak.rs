//! Random kills while objects are written: what was acknowledged stays.

use serde_json::Value;

use crate::support::TestPlane;
use crate::support::kernel;
use crate::support::random::Random;
use crate::support::random::seed;
use crate::support::random::setting;

/// How many processes are killed: 10, or `CAPSTEAD_SOAK_KILLS`. `CAPSTEAD_SOAK_SEED` repeats a run.
#[test]
fn acknowledged_objects_survive_random_kills() {
    let kills = setting("CAPSTEAD_SOAK_KILLS").unwrap_or(10);
    eprintln!("CAPSTEAD_SOAK_KILLS={kills}");
    let mut random = Random(seed());
    let plane = TestPlane::new("soak");
    plane.up();
    let id = plane.id();
    let components: Vec<String> = plane.pids().into_keys().collect();
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    let mut write = |name: String| {
        // One that got no answer may or may not be there; nothing is promised of it.
        let ran = plane.kubectl(&["--request-timeout=5s", "create", "configmap", &name, "--from-literal", &format!("name={name}")]);
        if ran.code == Some(0) { acknowledged.push(name) } else { refused += 1 }
    };
    for kill in 0..kills {
        write(format!("before-{kill}"));
        let victim = random.below(components.len() as u64 + 1);
        let pids = kernel::processes(&id);
        match components.get(usize::try_from(victim).unwrap()) {
            // It may be down still from an earlier kill.
            Some(component) => pids.iter().filter(|(_, name)| *name == component).for_each(|(pid, _)| kernel::kill(*pid)),
            None => {
                let status = plane.status();
                let supervisor = &status["supervisor"];
                if supervisor["running"] == true {
                    kernel::kill(u32::try_from(supervisor["pid"].as_u64().unwrap()).unwrap());
                }
            }
        }
        write(format!("after-{kill}"));
        // Sometimes the next blow falls before the last one is mended, and sometimes with nobody to mend it.
        if random.below(3) > 0 {
            mend(&plane);
        }
    }
    let status = mend(&plane);
    assert!(status["components"].as_array().unwrap().iter().all(|component| component["state"] == "ready"), "{status:#}");
    assert_eq!(kernel::processes(&id).len(), components.len(), "one process each");
    let maps = plane.get(&["configmaps"]);
    let there: Vec<(&str, &str)> = maps["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|map| Some((map["metadata"]["name"].as_str()?, map["data"]["name"].as_str()?)))
        .collect();
    eprintln!("{} objects acknowledged, {refused} writes refused", acknowledged.len());
    assert!(acknowledged.len() as u64 >= kills, "hardly anything was written: {acknowledged:?}");
    for name in &acknowledged {
        assert!(there.contains(&(name.as_str(), name.as_str())), "{name} was acknowledged and is lost; there are {there:?}");
    }
}

/// Brings a supervisor, if it is that which was killed, and waits until all is well. One that was hit four times in a row counts as failing for
/// `up`, which then does not wait; the supervisor goes on all the same.
fn mend(plane: &TestPlane) -> Value {
    let up = plane.run(&["up", "--detach"]);
    assert!(up.code == Some(0) || (up.code == Some(3) && up.err.contains("times in a row")), "{up:?}");
    plane.wait_ready()
}
