//! The kinds of group `infrastructure.cluster.x-k8s.io`, in both their versions.
//!
//! What both versions spell alike is one type, in [`common`]; field names, defaults and limits are those of
//! cluster-api-provider-microvm v0.10.

pub mod common;
pub mod v1alpha1;
pub mod v1alpha2;
