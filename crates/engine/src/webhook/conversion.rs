//! `ConversionReview`.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

/// Converts one object to an `apiVersion`, or tells why not.
pub(super) type Convert = Box<dyn Fn(Value, &str) -> Result<Value, String> + Send + Sync>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    version: String,
    objects: Vec<Value>,
}

/// Answers a review. An error tells what is wrong with the body.
pub(super) fn review(convert: &dyn Fn(Value, &str) -> Result<Value, String>, body: &[u8]) -> Result<Value, String> {
    let review: Review = serde_json::from_slice(body).map_err(|error| format!("the body is not a ConversionReview: {error}"))?;
    let Request { uid, version, objects } = review.request;
    let converted: Result<Vec<Value>, String> = objects.into_iter().map(|object| one(convert, object, &version)).collect();
    let response = match converted {
        Ok(objects) => json!({"uid": uid, "result": {"status": "Success"}, "convertedObjects": objects}),
        Err(message) => json!({"uid": uid, "result": {"status": "Failure", "message": message}, "convertedObjects": []}),
    };
    Ok(json!({"apiVersion": review.api_version, "kind": "ConversionReview", "response": response}))
}

fn one(convert: &dyn Fn(Value, &str) -> Result<Value, String>, object: Value, version: &str) -> Result<Value, String> {
    if object["apiVersion"] == version {
        return Ok(object);
    }
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = [text("/metadata/namespace"), text("/metadata/name")].join("/");
    let name = format!("{} {} {}", text("/apiVersion"), text("/kind"), name.trim_start_matches('/'));
    let (kind, metadata) = (object["kind"].clone(), identity(&object));
    let converted = convert(object, version).map_err(|fault| format!("cannot convert {name} to {version}: {fault}"))?;
    if converted["apiVersion"] != version || converted["kind"] != kind {
        return Err(format!("converting {name} to {version} gave {} {}", converted["apiVersion"], converted["kind"]));
    }
    if identity(&converted) != metadata {
        return Err(format!("converting {name} to {version} changed metadata other than labels and annotations"));
    }
    Ok(converted)
}

/// Metadata that a conversion must keep; the API server refuses anything else.
fn identity(object: &Value) -> Value {
    let mut metadata = object["metadata"].clone();
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("labels");
        metadata.remove("annotations");
    }
    metadata
}
