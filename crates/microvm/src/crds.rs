//! The CustomResourceDefinitions.

use capstead_capi::crd::{Conversion, CrdBuilder, CrdError};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

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
        CrdBuilder::stored::<v1alpha2::MicrovmMachine>().and::<v1alpha1::MicrovmMachine>().conversion(conversion()).build()?,
        CrdBuilder::stored::<v1alpha2::MicrovmMachineTemplate>()
            .and::<v1alpha1::MicrovmMachineTemplate>()
            .conversion(conversion())
            .build()?,
    ])
}

#[cfg(test)]
mod tests;
