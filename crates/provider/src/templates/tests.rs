use super::*;

#[test]
fn what_is_told_already_is_not_told_again() {
    let wanted = json!({"capacity": {"cpu": "2", "memory": "2Gi"}});
    assert!(includes(&json!({"capacity": {"cpu": "2", "memory": "2Gi"}, "nodeInfo": {"architecture": "arm64"}}), &wanted));
    assert!(!includes(&json!({"capacity": {"cpu": "2", "memory": "4Gi"}}), &wanted));
    assert!(!includes(&json!({"capacity": {"cpu": "2"}}), &wanted));
    assert!(!includes(&Value::Null, &wanted));
    assert!(includes(&Value::Null, &json!({})));
}
