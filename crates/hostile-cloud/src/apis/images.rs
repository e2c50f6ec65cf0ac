//! Artifact Registry: repositories and the images in them.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{is_name, merge, missing, policies};
use crate::answer::{Refusal, Reply};
use crate::call::Call;
use crate::operations::Begin;
use crate::state::State;

/// Where the image of the server is: a repository in each of these.
const LOCATIONS: [&str; 4] = ["us-central1", "us-east1", "europe-west1", "europe-west4"];
const REPOSITORY: &str = "memcloud";
const IMAGE: &str = "memcloud";

pub(crate) fn answer(call: &Call, state: &mut State) -> Reply {
    let parent = format!("projects/{}/locations/{}", state.project.id, call.location());
    let collection = format!("{parent}/repositories/");
    let name = format!("{collection}{}", call.part("repositoriesId"));
    match call.id.trim_start_matches("artifactregistry.projects.locations.") {
        "operations.get" => state.poll(call.part("operationsId")),
        "repositories.create" => create(call, state, &collection),
        "repositories.list" => Ok(json!({"repositories": state.list(&collection)}).into()),
        "repositories.get" => Ok(state.get(&name)?.clone().into()),
        "repositories.getIamPolicy" => Ok(policies::get(state, &name)),
        "repositories.setIamPolicy" => policies::set(call, state, &name),
        "repositories.delete" => {
            state.get(&name)?;
            let target = name.clone();
            let finish = Box::new(move |state: &mut State, worked: Result<(), _>| {
                worked?;
                state.resources.retain(|other, _| !other.starts_with(&format!("{name}/")));
                state.remove(&name);
                Ok(json!({}))
            });
            Ok(state.begin(call, Begin { kind: "delete", target: &target, work: None, finish }))
        }
        "repositories.dockerImages.list" => {
            state.get(&name)?;
            Ok(json!({"dockerImages": state.list(&format!("{name}/dockerImages/"))}).into())
        }
        "repositories.dockerImages.get" => {
            Ok(state.get(&format!("{name}/dockerImages/{}", call.part("dockerImagesId")))?.clone().into())
        }
        _ => Err(missing(call)),
    }
}

fn create(call: &Call, state: &mut State, collection: &str) -> Reply {
    let id = call.required("repositoryId")?;
    if !is_name(id, 1..=63) {
        return Err(Refusal::invalid(format!("The repository ID '{id}' is invalid.")));
    }
    let name = format!("{collection}{id}");
    state.free(&name)?;
    let mut body = call.body.clone();
    let registry = registry(&state.project.id, call.location(), id);
    merge(&mut body, &json!({"name": name, "registryUri": registry, "createTime": state.clock.text()}));
    let target = name.clone();
    let finish = Box::new(move |state: &mut State, worked: Result<(), _>| {
        worked?;
        state.resources.insert(name, body.clone());
        Ok(body)
    });
    Ok(state.begin(call, Begin { kind: "create", target: &target, work: None, finish }))
}

fn registry(project: &str, location: &str, repository: &str) -> String {
    format!("{location}-docker.pkg.dev/{project}/{repository}")
}

/// Makes the repositories of the server, with the first image.
pub(crate) fn stock(state: &mut State) {
    if state.options.server.is_none() {
        return;
    }
    let project = state.project.id.clone();
    for location in LOCATIONS {
        let name = format!("projects/{project}/locations/{location}/repositories/{REPOSITORY}");
        let body = json!({
            "name": name,
            "format": "DOCKER",
            "mode": "STANDARD_REPOSITORY",
            "registryUri": registry(&project, location, REPOSITORY),
            "createTime": state.clock.text(),
        });
        state.given.insert(name.clone());
        state.resources.insert(name, body);
    }
    push(state, &["latest", env!("CARGO_PKG_VERSION")]);
}

/// Pushes an image with these tags to every repository of the server, and answers its name with the digest.
pub(crate) fn push(state: &mut State, tags: &[&str]) -> String {
    let project = state.project.id.clone();
    let digest = format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(tags.join(","))));
    let uri = |location: &str| format!("{}/{IMAGE}@{digest}", registry(&project, location, REPOSITORY));
    for location in LOCATIONS {
        let name = format!(
            "projects/{project}/locations/{location}/repositories/{REPOSITORY}/dockerImages/{IMAGE}@{digest}"
        );
        let body =
            json!({"name": name, "uri": uri(location), "tags": tags, "uploadTime": state.clock.text()});
        state.given.insert(name.clone());
        state.resources.insert(name, body);
    }
    uri(LOCATIONS[0])
}

/// The image with the tag `latest`, in the first of the repositories; empty if there is none.
pub(crate) fn newest(state: &State) -> String {
    let here = |body: &&Value| body["uri"].as_str().is_some_and(|uri| uri.starts_with(LOCATIONS[0]));
    let latest = images(state).filter(here).find(|body| has_tag(body, "latest"));
    latest.and_then(|body| body["uri"].as_str()).unwrap_or_default().to_owned()
}

/// Whether there is an image of this name, by digest or by tag.
pub(crate) fn exists(state: &State, image: &str) -> bool {
    images(state).any(|body| {
        let uri = body["uri"].as_str().unwrap_or_default();
        let repository = uri.split('@').next().unwrap_or_default();
        let tag = image.strip_prefix(repository).map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        uri == image || tag.is_some_and(|tag| has_tag(body, if tag.is_empty() { "latest" } else { tag }))
    })
}

fn images(state: &State) -> impl Iterator<Item = &Value> {
    state.resources.iter().filter(|(name, _)| name.contains("/dockerImages/")).map(|(_, body)| body)
}

fn has_tag(image: &Value, tag: &str) -> bool {
    image["tags"].as_array().is_some_and(|tags| tags.iter().any(|one| one == tag))
}
