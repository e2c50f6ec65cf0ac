use std::net::Ipv4Addr;

use memcloud_api::console::GooglePlace;
use memcloud_api::{Integer, Place, Problem, Problems};
use memcloud_control::instances::Settings;
use serde_json::{Value, json};

/// The longest image, far beyond real ones.
const IMAGE_BYTES: usize = 400;
/// The longest name of a region or a machine type.
const WORD_BYTES: usize = 40;
/// The most servers, as a service of Cloud Run has without a raised quota.
const MOST_SERVERS: i64 = 100;
/// The most memory of an Aura instance, in GB.
const MOST_GB: i64 = 512;
/// The most ranges of a firewall rule that anyone gives.
const MOST_RANGES: usize = 50;

/// The place that a body asks for, as the target keeps it. Which databases are given is part of it: the target makes the others.
pub(super) fn place(
    given: Option<GooglePlace>,
    settings: &Settings,
    problems: &mut Problems,
) -> Option<Value> {
    let Some(given) = given else {
        let msg = "the target 'google' needs it, with a region";
        problems.push(Problem::new(Place::body().at("google"), "missing", msg, "missing_google"));
        return None;
    };
    check(&given, problems);
    let mut place = json!(given);
    place["own_neo4j"] = settings.neo4j.is_some().into();
    place["own_postgres"] = settings.postgres.is_some().into();
    Some(place)
}

fn check(given: &GooglePlace, problems: &mut Problems) {
    let at = |field| Place::body().at("google").at(field);
    let mut require = |holds: bool, place: Place, msg: &str, code| {
        if !holds {
            problems.push(Problem::new(place, "value_error", msg, code));
        }
    };
    let region_rule = "it is not the name of a region, which is like 'europe-west1'";
    let is_project = given.project.as_deref().is_none_or(is_project);
    let project_rule = "a project's id has 6 to 30 lower-case letters, digits and hyphens, begins with a letter and does not end \
                        with a hyphen";
    require(is_project, at("project"), project_rule, "invalid_project");
    require(is_region(&given.region), at("region"), region_rule, "invalid_region");
    let is_image = given.image.as_deref().is_none_or(is_image);
    require(is_image, at("image"), "it is not the name of an image", "invalid_image");
    let within = |number: Option<Integer>, least, most| {
        number.is_none_or(|Integer(number)| (least..=most).contains(&number))
    };
    let (fewest, most) = (given.min_servers, given.max_servers);
    require(within(fewest, 0, MOST_SERVERS), at("min_servers"), "it is from 0 to 100", "invalid_value");
    require(within(most, 1, MOST_SERVERS), at("max_servers"), "it is from 1 to 100", "invalid_value");
    let in_order = fewest.map_or(0, |Integer(fewest)| fewest) <= most.map_or(1, |Integer(most)| most);
    require(
        in_order,
        at("min_servers"),
        "it is more than 'max_servers', which is 1 by default",
        "invalid_value",
    );
    let word_rule = "it has lower-case letters, digits and hyphens, like 'db-g1-small' and 'e2-medium'";
    for (field, word) in [("database_tier", &given.database_tier), ("machine_type", &given.machine_type)] {
        require(word.as_deref().is_none_or(is_word), at(field), word_rule, "invalid_value");
    }
    require(
        given.bolt_ranges.len() <= MOST_RANGES,
        at("bolt_ranges"),
        "it has more than 50 ranges",
        "invalid_value",
    );
    for (index, range) in given.bolt_ranges.iter().enumerate().take(MOST_RANGES) {
        let range_rule = "it is not an IPv4 range, which is like '10.10.0.0/24'";
        require(is_range(range), at("bolt_ranges").item(index), range_rule, "invalid_range");
    }
    let Some(aura) = &given.aura else { return };
    let tiers = ["free", "professional", "business-critical"];
    let is_tier = aura.tier.as_deref().is_none_or(|tier| tiers.contains(&tier));
    let tier_rule = "it is one of 'free', 'professional', 'business-critical'";
    require(is_tier, at("aura").at("tier"), tier_rule, "unknown_aura_tier");
    let is_memory = within(aura.memory_gb, 1, MOST_GB);
    require(is_memory, at("aura").at("memory_gb"), "it is from 1 to 512", "invalid_value");
    let is_region = aura.region.as_deref().is_none_or(is_region);
    require(is_region, at("aura").at("region"), region_rule, "invalid_region");
}

/// As Resource Manager has it: 6 to 30 characters.
fn is_project(id: &str) -> bool {
    (6..=30).contains(&id.len()) && is_word(id)
}

/// Lower-case letters, digits and hyphens, with a letter first and no hyphen last.
fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= WORD_BYTES
        && text.bytes().all(plain)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
}

/// Words with hyphens between them, and a number at the end: `northamerica-northeast1`.
fn is_region(text: &str) -> bool {
    let words = text.trim_end_matches(|last: char| last.is_ascii_digit());
    let is_letters = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    text.len() <= WORD_BYTES
        && words.len() < text.len()
        && words.contains('-')
        && words.split('-').all(is_letters)
}

fn is_image(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
    (1..=IMAGE_BYTES).contains(&text.len())
        && text.bytes().all(plain)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
}

fn is_range(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    address.parse::<Ipv4Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_google_are_read_as_google_has_them() {
        for region in ["europe-west1", "us-central1", "northamerica-northeast2", "europe-west12"] {
            assert!(is_region(region), "{region}");
        }
        for region in
            ["", "europe", "europe-west", "1", "-1", "europe--west1", "Europe-west1", "eu/../x1", "a-b1\n"]
        {
            assert!(!is_region(region), "{region}");
        }
        for project in ["my-project", "abcdef", &"a".repeat(30)] {
            assert!(is_project(project), "{project}");
        }
        for project in ["", "short", "1project", "project-", "my project", "my_project", &"a".repeat(31)] {
            assert!(!is_project(project), "{project}");
        }
        for image in ["memcloud", "europe-west1-docker.pkg.dev/p/memcloud/memcloud:1.0.0", "a/b@sha256:00ff"]
        {
            assert!(is_image(image), "{image}");
        }
        for image in ["", "a b", "/a", "a:", "a\n", &"a".repeat(401)] {
            assert!(!is_image(image), "{image}");
        }
        for range in ["10.0.0.0/8", "0.0.0.0/0"] {
            assert!(is_range(range), "{range}");
        }
        for range in ["10.0.0.0", "10.0.0/8", "10.0.0.0/33", "::/0", "10.0.0.0/-1"] {
            assert!(!is_range(range), "{range}");
        }
    }
}
