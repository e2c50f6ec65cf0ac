//! The faults that apply to the next calls.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::fault::Fault;
use crate::request::Kind;

/// The faults of the next chat completions calls. Without [`Faults::times`] they last until they are changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// The faults, which apply together. In JSON each is an object, or a text as on the command line.
    #[serde(deserialize_with = "written")]
    pub faults: Vec<Fault>,
    /// How many calls they apply to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Only calls whose body or messages contain this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_if: Option<String>,
    /// Only calls of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Kind>,
}

impl<const N: usize> From<[Fault; N]> for Faults {
    fn from(faults: [Fault; N]) -> Self {
        Self::from(Vec::from(faults))
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        Self { faults, ..Self::default() }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self::from([fault])
    }
}

impl Faults {
    /// Applies them to this many calls only.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Applies them only to calls whose body contains this text.
    #[must_use]
    pub fn only_if(self, text: impl Into<String>) -> Self {
        Self { only_if: Some(text.into()), ..self }
    }

    /// Applies them only to calls of this kind.
    #[must_use]
    pub fn only(self, kind: Kind) -> Self {
        Self { only: Some(kind), ..self }
    }

    /// The faults of a call; counts down [`Faults::times`]. `texts` are its body and its messages.
    pub(crate) fn suffered<'a>(
        &mut self,
        kind: Kind,
        mut texts: impl Iterator<Item = &'a str>,
    ) -> Vec<Fault> {
        let meant = self.only.is_none_or(|only| only == kind)
            && self.only_if.as_ref().is_none_or(|text| texts.any(|said| said.contains(text)));
        match &mut self.times {
            _ if !meant => return Vec::new(),
            Some(0) => return Vec::new(),
            Some(times) => *times -= 1,
            None => {}
        }
        self.faults.clone()
    }
}

fn written<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Fault>, D::Error> {
    Vec::<Value>::deserialize(from)?
        .into_iter()
        .map(|value| read(value).map_err(serde::de::Error::custom))
        .collect()
}

fn read(value: Value) -> Result<Fault, String> {
    let fault = match value {
        Value::String(text) => text.parse(),
        value => serde_json::from_value::<Fault>(value).map_err(|error| error.to_string())?.checked(),
    };
    fault.map_err(|error| error.to_string())
}
