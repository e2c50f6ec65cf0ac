//! What an instance was seen to do: the criteria of a verification, their evidence, and the capabilities that follow from it.

mod capability;
mod evidence;

pub use capability::{Capability, CapabilityName, CapabilityState, capabilities};
pub use evidence::{Criterion, Evidence, Outcome};
