//! One published description.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::template::Template;
use crate::api::Api;

/// The description of one API.
pub(super) struct Document {
    pub(super) api: Api,
    /// Name and version, such as `run.v2`.
    pub(super) name: String,
    pub(super) methods: Vec<Method>,
    /// By name.
    pub(super) schemas: &'static Map<String, Value>,
    /// Query parameters of every method.
    pub(super) parameters: Map<String, Value>,
}

/// One method of an API.
pub(super) struct Method {
    pub(super) id: &'static str,
    verb: &'static str,
    template: Template,
    pub(super) query: BTreeMap<&'static str, &'static Value>,
    /// The schema of its body.
    pub(super) request: Option<&'static Value>,
}

static ALL: LazyLock<Vec<Document>> = LazyLock::new(|| Api::ALL.into_iter().map(Document::read).collect());

impl Document {
    pub(super) fn all() -> &'static [Self] {
        &ALL
    }

    pub(super) fn of(api: Api) -> &'static Self {
        // `ALL` is in the order of `Api::ALL`, which is that of the variants.
        &ALL[api as usize]
    }

    fn read(api: Api) -> Self {
        let json: Value = serde_json::from_str(api.description())
            .unwrap_or_else(|error| panic!("the description of {} is broken: {error}", api.host()));
        // Read once, and needed until the end.
        let json: &'static Value = Box::leak(Box::new(json));
        let empty = || panic!("the description of {} has no schemas", api.host());
        let mut methods = Vec::new();
        collect(json, json["servicePath"].as_str().unwrap_or_default(), &mut methods);
        let text = |name: &str| json[name].as_str().unwrap_or_default();
        Self {
            api,
            name: format!("{}.{}", text("name"), text("version")),
            methods,
            schemas: json["schemas"].as_object().unwrap_or_else(empty),
            parameters: json["parameters"].as_object().cloned().unwrap_or_default(),
        }
    }

    /// The method with the most specific path that matches, and the variable parts of the path.
    pub(super) fn route(&self, verb: &str, path: &str) -> Option<(&Method, BTreeMap<&'static str, String>)> {
        let methods = self.methods.iter().filter(|method| method.verb == verb);
        let matching = methods.filter_map(|method| Some((method, method.template.parts(path)?)));
        matching.max_by_key(|(method, _)| method.template.fixed())
    }
}

/// Adds the methods of a resource and of the resources in it.
fn collect(resource: &'static Value, service_path: &str, methods: &mut Vec<Method>) {
    let fields = |name: &str| resource[name].as_object().into_iter().flat_map(Map::values);
    methods.extend(fields("methods").map(|method| {
        let text = |name: &str| method[name].as_str();
        let path = text("flatPath").or_else(|| text("path")).unwrap_or_default();
        let parameters = method["parameters"].as_object().into_iter().flatten();
        Method {
            id: text("id").unwrap_or_default(),
            verb: text("httpMethod").unwrap_or_default(),
            template: Template::new(service_path, path),
            query: parameters
                .filter(|(_, schema)| schema["location"] == "query")
                .map(|(name, schema)| (name.as_str(), schema))
                .collect(),
            request: method.get("request"),
        }
    }));
    for resource in fields("resources") {
        collect(resource, service_path, methods);
    }
}
