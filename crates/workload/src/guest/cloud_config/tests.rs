use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::provision;
use crate::guest::system::System;
use crate::guest::tests::told;
use crate::guest::user_data::cloud_init;

fn provisioned(user: &str, vendor: &str, meta_data: &Value) -> Result<System, super::CloudConfigError> {
    let parts = |text: &str| cloud_init(text.as_bytes()).unwrap_or_default();
    provision(&parts(user), &parts(vendor), meta_data.as_object().unwrap_or(&Map::new()))
}

#[test]
fn the_name_comes_from_the_nearest() {
    let meta = json!({"local-hostname": "meta"});
    for (user, vendor, meta_data, expected) in [
        ("hostname: user", "hostname: vendor", &meta, "user"),
        ("a: 1", "hostname: vendor", &meta, "vendor"),
        ("a: 1", "", &meta, "meta"),
        ("fqdn: user.example.com", "", &meta, "user"),
        ("fqdn: user.example.com\nprefer_fqdn_over_hostname: true", "", &meta, "user.example.com"),
        ("a: 1", "", &json!({}), "localhost"),
    ] {
        let user = format!("#cloud-config\n{user}\n");
        let vendor = if vendor.is_empty() { String::new() } else { format!("#cloud-config\n{vendor}\n") };
        assert_eq!(provisioned(&user, &vendor, meta_data).unwrap().hostname, expected, "{user}");
    }
}

#[test]
fn files_are_decoded() {
    let user = "#cloud-config\nwrite_files:\n- {path: /a, content: aGk=, encoding: b64, permissions: '0400', owner: 'a:b'}\n- {path: /a, content: '!', append: true}\n\
                - {path: /b, content: plain, encoding: weird, permissions: 0600}\n- {path: /c}\n- {path: /d, content: one}\n- {path: /d, content: two}\n";
    let system = provisioned(user, "", &json!({})).unwrap();
    assert_eq!(system.text("/a"), Some("hi!"));
    assert_eq!((system.files["/a"].permissions, system.files["/a"].owner.as_str()), (0o400, "a:b"));
    assert_eq!((system.text("/b"), system.files["/b"].permissions), (Some("plain"), 0o600));
    assert_eq!((system.text("/c"), system.files["/c"].permissions), (Some(""), 0o644));
    assert_eq!(system.text("/d"), Some("two"));
    assert_eq!(system.warnings.len(), 1);
}

#[test]
fn commands_keep_their_words() {
    let user = "#cloud-config\nbootcmd:\n- early\nruncmd:\n- [echo, 'a b', 1, true]\n- 'x && y'\n";
    let texts: Vec<String> = provisioned(user, "", &json!({})).unwrap().scripts.into_iter().map(|script| script.text).collect();
    assert_eq!(texts, ["early", "echo 'a b' 1 true\nx && y"]);
}

#[test]
fn what_is_not_cloud_config_is_told() {
    for (user, expected) in [
        ("- a\n", "is not one map of keys, but a list"),
        ("text\n", "is not one map of keys, but a single value"),
        ("a: 1\n---\nb: 2\n", "is not one map of keys, but several documents"),
        ("write_files: {}\n", "write_files is wrong"),
        ("write_files: [{content: a}]\n", "write_files is wrong: missing field `path`"),
        ("runcmd: [{a: b}]\n", "runcmd is wrong"),
        ("a: [\n", "the cloud-config cannot be read"),
        ("a: &a [*a]\n", "the cloud-config cannot be read"),
    ] {
        let error = provisioned(&format!("#cloud-config\n{user}"), "", &json!({})).expect_err(user);
        assert!(told(&error).contains(expected), "{user}: {}", told(&error));
    }
}
