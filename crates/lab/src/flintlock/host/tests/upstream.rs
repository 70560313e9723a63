//! Against what flintlock's own handlers answered; `tests/upstream/answers.go` asked them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capstead_flintlock::api::CreateMicroVmResponse;
use prost::Message;

use super::*;

const ANSWERS: &str = include_str!("../../../../tests/upstream/answers.tsv");
/// The uid that upstream's handlers were made to give.
const UID: &str = "01HAAAAAAAAAAAAAAAAAAAAAAA";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// `meta-data` is written by another YAML library: the same map in other words.
fn read_meta_data(microvm: &mut MicroVm) -> Option<yaml_serde::Value> {
    let text = microvm.spec.as_mut()?.metadata.remove("meta-data")?;
    yaml_serde::from_slice(&STANDARD.decode(text).ok()?).ok()
}

#[test]
fn every_create_is_answered_as_upstream_does() {
    let mut seen = (0, 0);
    for line in ANSWERS.lines() {
        let [name, provider, request, code, answer] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        if name.starts_with("get ") || name.starts_with("delete ") {
            continue;
        }
        let sent = CreateMicroVmRequest::decode(&*bytes(request)).unwrap();
        let settings = Settings { default_provider: provider.parse().unwrap(), ..Settings::default() };
        let mut world = World::new(settings, &[]);
        let reply = world.reply(Call::Create(sent));
        if code == "OK" {
            let mut expected = CreateMicroVmResponse::decode(&*bytes(answer)).unwrap().microvm.unwrap();
            let mut microvm = reply.answer.map(one).unwrap_or_else(|error| panic!("{name}: {error}"));
            let own = uid(&microvm).to_owned();
            microvm.spec.as_mut().unwrap().uid = Some(UID.to_owned());
            let meta_data = read_meta_data(&mut microvm).map(|value| yaml_serde::to_string(&value).unwrap().replace(&own, UID));
            assert_eq!(meta_data, read_meta_data(&mut expected).map(|value| yaml_serde::to_string(&value).unwrap()), "{name}");
            assert_eq!(microvm, expected, "{name}");
            seen.0 += 1;
        } else {
            let refusal = reply.answer.unwrap_err();
            let message: String = serde_json::from_str(answer).unwrap();
            assert_eq!((format!("{:?}", refusal.code), refusal.message), (code.to_owned(), message), "{name}");
            seen.1 += 1;
        }
    }
    assert_eq!(seen, (40, 47));
}

#[test]
fn an_unknown_uid_is_answered_as_upstream_does() {
    let mut seen = 0;
    for line in ANSWERS.lines() {
        let [name, _, request, code, answer] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let call = match name.split_once(' ') {
            Some(("get", _)) => Call::Get(GetMicroVmRequest::decode(&*bytes(request)).unwrap()),
            Some(("delete", _)) => Call::Delete(DeleteMicroVmRequest::decode(&*bytes(request)).unwrap()),
            _ => continue,
        };
        let refusal = World::new(Settings::default(), &[]).reply(call).answer.unwrap_err();
        let message: String = serde_json::from_str(answer).unwrap();
        assert_eq!((format!("{:?}", refusal.code), refusal.message), (code.to_owned(), message), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 4);
}
