//! Templates tell what they offer: a status that follows from the spec alone.

use std::sync::Arc;

use capstead_engine::metrics::Metrics;
use capstead_engine::{Kind, Name};
use capstead_reconcile::Plan;
use kube::Client;
use serde_json::{Value, json};

use crate::manager::{ManagerError, Options};
use crate::teller::{Objects, Teller, Write, tell};

/// Keeps the status of all templates of kind `T` as `status` has it; for a kind whose templates tell something, such as what the cluster autoscaler wants to
/// know before there is any machine. `name` is the field manager.
///
/// # Errors
/// When a worker panicked.
pub async fn templates<T: Kind>(
    client: &Client,
    metrics: &Metrics,
    options: &Options,
    name: &'static str,
    status: fn(&T) -> Value,
) -> Result<(), ManagerError> {
    tell(client, metrics, options, name, Arc::new(Templates { objects: Objects::<T>::new(metrics), status })).await
}

struct Templates<T> {
    objects: Objects<T>,
    status: fn(&T) -> Value,
}

impl<T: Kind> Teller for Templates<T> {
    type Object = T;

    fn objects(&self) -> &Objects<T> {
        &self.objects
    }

    fn plan(&self, _: &Name, template: &T) -> Plan<Write> {
        let wanted = (self.status)(template);
        // What another wrote into other fields of it is left alone.
        let told = serde_json::to_value(template).map(|mut object| object["status"].take()).unwrap_or_default();
        if includes(&told, &wanted) { Plan::settled() } else { Plan::settled().then(Write::Status(wanted)) }
    }
}

/// Whether everything of `part` is in `whole`.
fn includes(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| includes(whole, part)))
        }
        _ => whole == part || (whole.is_null() && *part == json!({})),
    }
}

#[cfg(test)]
mod tests;
