//! Messages as JSON, by protobuf's own mapping: for people's files, for records on disk and for the HTTP gateway.

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::DescriptorPool;
use prost_reflect::DeserializeOptions;
use prost_reflect::DynamicMessage;
use prost_reflect::MessageDescriptor;
use prost_reflect::SerializeOptions;
use serde::Deserializer;
use serde_json::Value;
use serde_path_to_error::Deserializer as PathTo;
use serde_path_to_error::Track;

use crate::FILE_DESCRIPTOR_SET;
use crate::api;
use crate::types;

/// A message that has a name in the protocol.
pub trait Named: Message + Default {
    /// With its package.
    const NAME: &'static str;
}

impl Named for types::MicroVm {
    const NAME: &'static str = "flintlock.types.MicroVM";
}

impl Named for types::MicroVmSpec {
    const NAME: &'static str = "flintlock.types.MicroVMSpec";
}

impl Named for api::CreateMicroVmResponse {
    const NAME: &'static str = "microvm.services.api.v1alpha1.CreateMicroVMResponse";
}

impl Named for api::GetMicroVmResponse {
    const NAME: &'static str = "microvm.services.api.v1alpha1.GetMicroVMResponse";
}

impl Named for api::ListMicroVMsResponse {
    const NAME: &'static str = "microvm.services.api.v1alpha1.ListMicroVMsResponse";
}

impl Named for api::ListMicroVMsRequest {
    const NAME: &'static str = "microvm.services.api.v1alpha1.ListMicroVMsRequest";
}

impl Named for api::ListMessage {
    const NAME: &'static str = "microvm.services.api.v1alpha1.ListMessage";
}

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As people write it: fields under the protocol's names (`memory_in_mb`), without those that say nothing.
    Plain,
    /// As grpc-gateway answers: fields in lower camel case, all of them.
    Gateway,
}

/// Why a message was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The text is no such message.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The protocol's descriptors do not fit the message.
    #[error("the protocol's descriptors do not fit {name}: {cause}")]
    Descriptors {
        /// The message.
        name: &'static str,
        /// What is wrong.
        cause: String,
    },
}

/// Reads a message. Fields may be named either way, enums by name or number; one that is not known is refused if `strict`.
///
/// # Errors
///
/// The value is no such message; the error names the field.
pub fn read<'de, M: Named, D: Deserializer<'de>>(json: D, strict: bool) -> Result<M, D::Error> {
    use serde::de::Error;
    let descriptor = descriptor::<M>().map_err(D::Error::custom)?;
    let options = DeserializeOptions::new().deny_unknown_fields(strict);
    let mut track = Track::new();
    let read = DynamicMessage::deserialize_with_options(descriptor, PathTo::new(json, &mut track), &options);
    let message = read.map_err(|error| match track.path().to_string() {
        // It is the whole that is wrong.
        path if path == "." => error,
        path => D::Error::custom(format!("{path}: {error}")),
    })?;
    message.transcode_to().map_err(D::Error::custom)
}

/// Writes a message.
///
/// # Errors
///
/// The message holds what JSON cannot: an enum's number without a name is written as the number, so in practice none.
pub fn write<M: Named>(message: &M, form: Form) -> Result<Value, JsonError> {
    let mut dynamic = DynamicMessage::new(descriptor::<M>()?);
    dynamic.transcode_from(message).map_err(|error| JsonError::Descriptors { name: M::NAME, cause: error.to_string() })?;
    let plain = form == Form::Plain;
    let options = SerializeOptions::new().use_proto_field_name(plain).skip_default_fields(plain);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

fn descriptor<M: Named>() -> Result<MessageDescriptor, JsonError> {
    static POOL: OnceLock<Result<DescriptorPool, String>> = OnceLock::new();
    let pool = POOL.get_or_init(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).map_err(|error| error.to_string()));
    let failed = |cause| JsonError::Descriptors { name: M::NAME, cause };
    let pool = pool.as_ref().map_err(|cause| failed(cause.clone()))?;
    pool.get_message_by_name(M::NAME).ok_or_else(|| failed("there is no such message".to_owned()))
}

#[cfg(test)]
mod tests;
