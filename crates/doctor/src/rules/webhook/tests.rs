use serde_json::Value;
use serde_json::json;

use crate::Picture;
use crate::Severity;
use crate::picture::Reach;
use crate::sample::evidence;
use crate::sample::found;
use crate::sample::log;
use crate::sample::now;
use crate::sample::picture;
use crate::sample::the_one;

fn configured(config: Value) -> Picture {
    let webhooks = json!([{"name": "validation.microvmcluster.infrastructure.cluster.x-k8s.io", "clientConfig": config}]);
    let object = json!({"metadata": {"name": "capmvm-validating-webhook-configuration"}, "webhooks": webhooks});
    picture(vec![("ValidatingWebhookConfiguration", object)])
}

#[test]
fn a_webhook_that_nobody_serves_is_told() {
    let mut picture = configured(json!({"url": "https://127.0.0.1:10800/validate", "caBundle": "Y2E="}));
    assert_eq!(found(&picture, "webhook"), [], "nobody tried");
    for (reach, wrong) in [(Reach::Open, 0), (Reach::Refused, 1), (Reach::Silent, 1)] {
        picture.reached.insert("127.0.0.1:10800".into(), reach);
        assert_eq!(found(&picture, "webhook").len(), wrong, "{picture:?}");
    }
    picture.reached.insert("127.0.0.1:10800".into(), Reach::Refused);
    let finding = the_one(&picture, "webhook");
    assert_eq!(
        (finding.severity, finding.about.as_str()),
        (Severity::Error, "ValidatingWebhookConfiguration capmvm-validating-webhook-configuration")
    );
    assert!(finding.cause.contains("127.0.0.1:10800") && evidence(&finding)[0].1 == "a connection from here is refused", "{finding:#?}");
}

#[test]
fn a_webhook_without_authority_is_told() {
    let service = json!({"name": "capmvm-webhook-service", "namespace": "capmvm-system"});
    for (bundle, wrong) in [(Value::Null, 1), ("".into(), 1), ("Cg==".into(), 1), ("LS0tLS1CRUdJTg==".into(), 0)] {
        let picture = configured(json!({"service": service, "caBundle": bundle}));
        assert_eq!(found(&picture, "webhook").len(), wrong, "{bundle}");
    }
}

#[test]
fn a_refused_apply_is_explained() {
    let mut picture = Picture::new(now());
    let line = "Error from server (InternalError): failed calling webhook \"validation.microvmcluster\": dial tcp 10.96.1.2:443: connect: connection refused";
    picture.logs.push(log("apply.log", line));
    assert_eq!(evidence(&the_one(&picture, "webhook")), [("apply.log, line 1", line)]);
}
