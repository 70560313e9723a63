//! The CustomResourceDefinitions.

use capstead_capi::crd::{Conversion, CrdBuilder, CrdError};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, ValidationRule};

use crate::api::{v1alpha1, v1alpha2};

/// The definitions of all kinds, stored as `v1alpha2`, with `conversion` between the versions.
///
/// # Errors
/// When the types make no definition: a fault of this crate.
pub fn crds(conversion: &Conversion) -> Result<Vec<CustomResourceDefinition>, CrdError> {
    let conversion = || conversion.clone();
    Ok(vec![
        CrdBuilder::stored::<v1alpha2::MicrovmCluster>().and::<v1alpha1::MicrovmCluster>().conversion(conversion()).build()?,
        CrdBuilder::stored::<v1alpha2::MicrovmClusterTemplate>()
            .and::<v1alpha1::MicrovmClusterTemplate>()
            .conversion(conversion())
            .build()?,
        set_once(
            CrdBuilder::stored::<v1alpha2::MicrovmMachine>().and::<v1alpha1::MicrovmMachine>().conversion(conversion()).build()?,
            "providerID",
        ),
        CrdBuilder::stored::<v1alpha2::MicrovmMachineTemplate>()
            .and::<v1alpha1::MicrovmMachineTemplate>()
            .conversion(conversion())
            .build()?,
        set_once(
            CrdBuilder::stored::<v1alpha2::ExternalLoadBalancer>()
                .and::<v1alpha1::ExternalLoadBalancer>()
                .conversion(conversion())
                .build()?,
            "clusterName",
        ),
    ])
}

/// The API server itself refuses another value of this field of spec than the first. Never of a template: its schema must not compare with the object as it was,
/// for that cannot see the dry runs of a topology.
fn set_once(mut crd: CustomResourceDefinition, field: &str) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let spec = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("spec"));
        if let Some(field) = spec.and_then(|spec| spec.properties.as_mut()?.get_mut(field)) {
            let message = Some("is immutable once it is set".to_owned());
            field.x_kubernetes_validations =
                Some(vec![ValidationRule { rule: "self == oldSelf".into(), message, ..ValidationRule::default() }]);
        }
    }
    crd
}

#[cfg(test)]
mod tests;
