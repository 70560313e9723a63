//! Listings without user-data.
//!
//! Hosts return all metadata of each microVM, user-data included: megabytes in which a lister only looks for a few words.
//! These messages have the numbers of [`crate::types`], but none of the fields nobody reads in a listing, and of metadata they
//! keep only what is not a cloud-init document; the decoder steps over the rest without storing it.

use std::collections::BTreeMap;

use prost::DecodeError;
use prost::Message;
use prost::bytes::Buf;
use prost::bytes::BufMut;
use prost::encoding::DecodeContext;
use prost::encoding::WireType;
use prost::encoding::skip_field;
use prost::encoding::string;

use crate::types::MicroVmStatus;
use crate::types::StaticAddress;

/// Metadata that is a document for the guest.
const DOCUMENTS: [&str; 3] = ["user-data", "vendor-data", "meta-data"];

/// A microVM as a listing shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The host's id for it.
    pub uid: String,
    /// Its name, which others may have too.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Grows by one with each change that the host stores.
    pub version: i32,
    /// Number of virtual CPUs.
    pub vcpu: i32,
    /// Memory in MiB.
    pub memory_in_mb: i32,
    /// Static addresses of its interfaces, in CIDR notation.
    pub addresses: Vec<String>,
    /// Metadata (values base64) but `user-data`, `vendor-data` and `meta-data`.
    pub metadata: BTreeMap<String, String>,
    /// What became of it.
    pub status: MicroVmStatus,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListedResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) microvm: Vec<ListedMicroVm>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListedMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) microvm: Option<ListedMicroVm>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListedMicroVm {
    #[prost(int32, tag = "1")]
    version: i32,
    #[prost(message, optional, tag = "2")]
    spec: Option<ListedSpec>,
    #[prost(message, optional, tag = "3")]
    status: Option<MicroVmStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct ListedSpec {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(int32, tag = "4")]
    vcpu: i32,
    #[prost(int32, tag = "5")]
    memory_in_mb: i32,
    #[prost(message, repeated, tag = "10")]
    interfaces: Vec<ListedInterface>,
    #[prost(message, repeated, tag = "11")]
    metadata: Vec<Entry>,
    #[prost(string, tag = "15")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct ListedInterface {
    #[prost(message, optional, tag = "5")]
    address: Option<StaticAddress>,
}

/// One entry of the metadata map: on the wire, a message of key (1) and value (2).
#[derive(Clone, Debug, Default, PartialEq)]
struct Entry {
    key: String,
    value: String,
}

impl Entry {
    fn is_document(&self) -> bool {
        DOCUMENTS.contains(&self.key.as_str())
    }
}

impl Message for Entry {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        string::encode(1, &self.key, buf);
        string::encode(2, &self.value, buf);
    }

    fn merge_field(&mut self, tag: u32, wire_type: WireType, buf: &mut impl Buf, ctx: DecodeContext) -> Result<(), DecodeError> {
        match tag {
            1 => string::merge(wire_type, &mut self.key, buf, ctx),
            // Encoders write the key first; should one not, the value is dropped in `Listed::from`.
            2 if !self.is_document() => string::merge(wire_type, &mut self.value, buf, ctx),
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        string::encoded_len(1, &self.key) + string::encoded_len(2, &self.value)
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl From<ListedMicroVm> for Listed {
    fn from(from: ListedMicroVm) -> Self {
        let spec = from.spec.unwrap_or_default();
        Self {
            uid: spec.uid,
            name: spec.id,
            namespace: spec.namespace,
            version: from.version,
            vcpu: spec.vcpu,
            memory_in_mb: spec.memory_in_mb,
            addresses: spec.interfaces.into_iter().filter_map(|interface| interface.address).map(|address| address.address).collect(),
            metadata: spec.metadata.into_iter().filter(|entry| !entry.is_document()).map(|entry| (entry.key, entry.value)).collect(),
            status: from.status.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
