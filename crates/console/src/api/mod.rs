//! One endpoint a file.

pub(crate) mod audit;
pub(crate) mod doctor;
pub(crate) mod instances;
pub(crate) mod keys;
pub(crate) mod leftovers;
pub(crate) mod live;
pub(crate) mod openapi;
pub(crate) mod operations;
pub(crate) mod organizations;
mod params;
pub(crate) mod plan;
mod reason;
mod responses;
pub(crate) mod sign_in;
pub(crate) mod tokens;
pub(crate) mod users;
