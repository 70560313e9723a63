use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::IgnitionError;
use super::provision;
use crate::guest::system::System;

fn provisioned(config: &Value) -> Result<System, IgnitionError> {
    provision(config, &Map::from_iter([("hostname".to_owned(), json!("told"))]))
}

/// Butane's output for specification 3, with gzip'ed content, appended content and a script that is started by its unit.
#[test]
fn specification_3_is_understood() {
    let config = json!({
        "ignition": {"version": "3.4.0"},
        "storage": {"files": [
            {"path": "/etc/hostname", "contents": {"source": "data:,flat-1%0A"}, "mode": 420, "overwrite": true},
            {"path": "/etc/run.sh", "mode": 448, "user": {"name": "core"}, "contents": {
                "compression": "gzip", "source": "data:;base64,H4sIAAAAAAACAytOLVHQTeXKLk1KTUzJVcjMywTydZPz89Iy0xX0E7kAQkTJdSAAAAA="}},
            {"path": "/etc/more", "append": [{"source": "data:,a"}, {"source": "data:,b"}]}
        ]},
        "systemd": {"units": [
            {"name": "run.service", "enabled": true, "contents": "[Unit]\nConditionPathExists=!/etc/done\n[Service]\nExecStart=/bin/bash /etc/run.sh\n"},
            {"name": "other.service", "enabled": true},
            {"name": "late.service", "enabled": true, "contents": "[Unit]\nConditionPathExists=/etc/none\n[Service]\nExecStart=/bin/true\n"}
        ]}
    });
    let system = provisioned(&config).unwrap();
    assert_eq!(system.hostname, "flat-1");
    assert_eq!(system.text("/etc/more"), Some("ab"));
    assert_eq!((system.files["/etc/run.sh"].permissions, system.files["/etc/run.sh"].owner.as_str()), (0o700, "core:root"));
    assert_eq!(system.scripts.len(), 1);
    assert_eq!(system.warnings, ["late.service does not start, because of ConditionPathExists=/etc/none"]);
}

#[test]
fn what_ignition_refuses_is_refused() {
    type Fits = fn(&IgnitionError) -> bool;
    let config = |version: &str, files: Value| json!({"ignition": {"version": version}, "storage": {"files": files}});
    let rows: Vec<(Value, Fits)> = vec![
        (json!({}), |error| matches!(error, IgnitionError::Shape(_))),
        (config("1.0.0", json!([])), |error| matches!(error, IgnitionError::Version(_))),
        (config("x", json!([])), |error| matches!(error, IgnitionError::Version(_))),
        (config("3.0.0", json!([{"path": "a"}])), |error| matches!(error, IgnitionError::Relative { .. })),
        (config("3.0.0", json!([{"path": "/a"}, {"path": "/a"}])), |error| matches!(error, IgnitionError::Twice { .. })),
        (config("2.3.0", json!([{"path": "/a", "contents": {"source": "s3://x"}}])), |error| matches!(error, IgnitionError::Remote { .. })),
        (config("2.3.0", json!([{"path": "/a", "contents": {"source": "data:x"}}])), |error| {
            matches!(error, IgnitionError::Content { .. })
        }),
        (config("2.3.0", json!([{"path": "/a", "contents": {"source": "data:;base64,!"}}])), |error| {
            matches!(error, IgnitionError::Content { .. })
        }),
        (config("2.3.0", json!([{"path": "/a", "contents": {"source": "data:,x", "compression": "gzip"}}])), |error| {
            matches!(error, IgnitionError::Content { .. })
        }),
        (config("2.3.0", json!([{"path": "/a", "contents": {"source": "data:,x", "compression": "xz"}}])), |error| {
            matches!(error, IgnitionError::Content { .. })
        }),
    ];
    for (config, fits) in rows {
        let error = provisioned(&config).expect_err(&config.to_string());
        assert!(fits(&error), "{config}: {error:?}");
    }
    assert_eq!(provisioned(&config("2.3.0", json!([{"path": "/a"}, {"path": "/a"}]))).unwrap().hostname, "told");
}
