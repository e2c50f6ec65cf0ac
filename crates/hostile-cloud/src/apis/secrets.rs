//! Secret Manager.

use data_encoding::{BASE64, BASE64URL};
use serde_json::{Value, json};

use super::{merge, missing, policies};
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::state::{SecretVersion, State};

/// The longest secret, in bytes.
const LONGEST: usize = 64 << 10;
/// The role that permits to read a secret.
pub(crate) const ACCESSOR: &str = "roles/secretmanager.secretAccessor";

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let collection = format!("projects/{}/secrets/", state.project.id);
    let name = format!("{collection}{}", call.part("secretsId"));
    match call.id {
        "secretmanager.projects.secrets.create" => create(call, state, &collection),
        "secretmanager.projects.secrets.list" => Ok(json!({"secrets": state.list(&collection)}).into()),
        _ => {
            state.get(&name)?;
            of_secret(call, state, &name)
        }
    }
}

fn create(call: &Call, state: &mut State, collection: &str) -> Reply {
    let id = call.required("secretId")?;
    let valid =
        id.len() <= 255 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !valid {
        return Err(Refusal::invalid(format!("The secret ID '{id}' is invalid.")));
    }
    if call.body["replication"].as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Refusal::invalid("The field 'secret.replication' is required."));
    }
    let name = format!("{collection}{id}");
    state.free(&name)?;
    state.within_quota("secrets", "/secrets")?;
    let mut body = call.body.clone();
    let own = json!({"name": state.numbered(&name), "createTime": state.clock.text(), "etag": etag(state)});
    merge(&mut body, &own);
    state.resources.insert(name, body.clone());
    Ok(body.into())
}

fn etag(state: &mut State) -> String {
    format!("\"{:x}\"", state.number())
}

fn of_secret(call: &Call, state: &mut State, name: &str) -> Reply {
    match call.id.trim_start_matches("secretmanager.projects.secrets.") {
        "get" => Ok(state.get(name)?.clone().into()),
        "patch" => {
            let etag = etag(state);
            let body = state.get(name)?;
            if !call.body["etag"].is_null() && call.body["etag"] != body["etag"] {
                return Err(Refusal::aborted());
            }
            merge(body, &call.body);
            body["etag"] = etag.into();
            Ok(body.clone().into())
        }
        "delete" => {
            let current = state.get(name)?["etag"].clone();
            if call.query("etag").is_some_and(|etag| current != etag) {
                return Err(Refusal::aborted());
            }
            state.versions.remove(name);
            state.remove(name);
            Ok(json!({}).into())
        }
        "addVersion" => add_version(call, state, name),
        "getIamPolicy" => Ok(policies::get(state, name)),
        "setIamPolicy" => policies::set(call, state, name),
        "versions.list" => {
            let count = state.versions.get(name).map_or(0, Vec::len);
            let versions: Vec<Value> =
                (1..=count).rev().filter_map(|number| version(state, name, number)).collect();
            Ok(json!({"versions": versions, "totalSize": count}).into())
        }
        other => match other.strip_prefix("versions.") {
            Some(verb) => of_version(call, verb, state, name),
            None => Err(missing(call)),
        },
    }
}

fn add_version(call: &Call, state: &mut State, name: &str) -> Reply {
    let data = call.text("/payload/data");
    let data = [BASE64, BASE64URL].iter().find_map(|form| form.decode(data.as_bytes()).ok());
    let data = data.filter(|data| !data.is_empty() && data.len() <= LONGEST);
    let data = data.ok_or_else(|| Refusal::invalid("Payload data must have 1 to 65536 bytes."))?;
    let checksum = call.text("/payload/dataCrc32c");
    if !checksum.is_empty() && checksum != crc32c(&data).to_string() {
        return Err(Refusal::invalid("The checksum of the payload does not match its data."));
    }
    let created = state.clock.text();
    let versions = state.versions.entry(name.to_owned()).or_default();
    versions.push(SecretVersion { data, state: "ENABLED", created });
    let number = versions.len();
    version(state, name, number).map(Into::into).ok_or_else(|| Refusal::not_found(name))
}

/// A version as the API answers it, without its data.
fn version(state: &State, name: &str, number: usize) -> Option<Value> {
    let version = state.versions.get(name)?.get(number.checked_sub(1)?)?;
    Some(json!({
        "name": format!("{}/versions/{number}", state.numbered(name)),
        "createTime": version.created,
        "state": version.state,
        "etag": format!("\"{number}-{}\"", version.state),
        "replicationStatus": {"automatic": {}},
    }))
}

/// The number of a version, by itself or as `latest`.
fn number(state: &State, name: &str, given: &str) -> Option<usize> {
    let versions = state.versions.get(name)?;
    let number = if given == "latest" { versions.len() } else { given.parse().ok()? };
    (1..=versions.len()).contains(&number).then_some(number)
}

fn of_version(call: &Call, verb: &str, state: &mut State, name: &str) -> Reply {
    let given = call.part("versionsId");
    let full = format!("{name}/versions/{given}");
    let number = number(state, name, given).ok_or_else(|| Refusal::not_found(&full))?;
    let to = match verb {
        "access" => {
            let data = read(state, name, given)?;
            let payload = json!({"data": BASE64.encode(&data), "dataCrc32c": crc32c(&data).to_string()});
            let name = format!("{}/versions/{number}", state.numbered(name));
            return Ok(json!({"name": name, "payload": payload}).into());
        }
        "disable" => Some("DISABLED"),
        "enable" => Some("ENABLED"),
        "destroy" => Some("DESTROYED"),
        _ => None,
    };
    let version = state.versions.get_mut(name).and_then(|versions| versions.get_mut(number - 1));
    if let (Some(version), Some(to)) = (version, to) {
        if version.state == "DESTROYED" {
            return Err(Refusal::precondition(format!("{full} is in DESTROYED state.")));
        }
        version.state = to;
        if to == "DESTROYED" {
            version.data.clear();
        }
    }
    self::version(state, name, number).map(Into::into).ok_or_else(|| Refusal::not_found(&full))
}

/// The data of a version that is enabled. `name` is the full name of the secret.
pub(crate) fn read(state: &State, name: &str, version: &str) -> Result<Vec<u8>, Refusal> {
    let full = format!("{name}/versions/{version}");
    let number = number(state, name, version).ok_or_else(|| Refusal::not_found(&full))?;
    let version = &state.versions[name][number - 1];
    if version.state != "ENABLED" {
        return Err(Refusal::precondition(format!("{full} is in {} state.", version.state)));
    }
    Ok(version.data.clone())
}

/// The CRC32C of some bytes (Castagnoli, as in RFC 3720), bit by bit.
fn crc32c(data: &[u8]) -> u32 {
    let reversed = 0x82f6_3b78;
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ reversed } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_that_of_the_specification() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(super::crc32c(b"secret"), 2_956_741_965);
    }
}
