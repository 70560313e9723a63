use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::render;

fn meta_data() -> Map<String, Value> {
    let value = json!({
        "instance-id": "i-1", "local_hostname": "host-1", "vm_host": "h:1", "number": 7, "on": true,
        "tags": {"zone-id": "z"}, "list": ["a", "b"]
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// As cloud-init renders them.
#[test]
fn templates_see_what_cloud_init_shows_them() {
    for (template, expected) in [
        ("{{ ds.meta_data.vm_host }}/{{ ds.meta_data.instance_id }}\n", "h:1/i-1\n"),
        ("{{ ds.meta_data['instance-id'] }}", "i-1"),
        ("{{ ds['meta_data']['vm_host'] }}", "h:1"),
        ("{{ v1.instance_id }} {{ v1.local_hostname }} {{ local_hostname }}", "i-1 host-1 host-1"),
        ("{{ ds.meta_data.instance_id\n        }}", "i-1"),
        ("{{ ds.meta_data.number }} {{ ds.meta_data.number + 1 }}", "7 8"),
        ("{% if ds.meta_data.on %}\nyes\n{% endif %}\nend", "yes\nend"),
        ("{% for item in ds.meta_data.list %}{{ item }};{% endfor %}", "a;b;"),
        ("{{ ds.meta_data.tags['zone-id'] }}", "z"),
        // What is missing shows, and can be asked for.
        ("{{ ds.meta_data.nope }}", "CI_MISSING_JINJA_VAR/nope"),
        ("{{ nope }}", "CI_MISSING_JINJA_VAR/nope"),
        ("{{ v1.region }}", "CI_MISSING_JINJA_VAR/region"),
        ("{{ ds.meta_data.nope | default('x') }}{{ nope | d('y') }}", "xy"),
        ("{% if ds.meta_data.nope is defined %}a{% else %}b{% endif %}", "b"),
        ("{% if nope %}a{% else %}b{% endif %}", "b"),
        ("{{ ds.meta_data.vm_host | upper }}", "H:1"),
        ("{{ range(3) | length }}", "3"),
        ("## template: jinja\n#cloud-config\n", "## template: jinja\n#cloud-config\n"),
    ] {
        assert_eq!(render(template, &meta_data()).unwrap(), expected, "{template}");
    }
}

#[test]
fn broken_and_endless_templates_are_errors() {
    for template in [
        "{{ ds.meta_data.vm_host",
        "{% if %}",
        "{{ ds.meta_data.nope.more }}",
        "{{ nothing() }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    ] {
        assert!(render(template, &meta_data()).is_err(), "{template}");
    }
}
