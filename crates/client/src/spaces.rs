use memcloud_api::native::{SpaceChanges, SpaceDetails, Spaces};
use reqwest::Method;
use serde::Serialize;

use crate::{Client, Error};

/// Which spaces to list.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SpacesQuery {
    /// The most spaces; the server's usual number when `None`.
    pub limit: Option<usize>,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

impl Client {
    /// Lists the spaces that the key opens, by organization and project.
    pub async fn spaces(&self, query: &SpacesQuery) -> Result<Spaces, Error> {
        self.0.get(&["v1", "spaces"], query).await
    }

    /// A space, and how much it holds.
    pub async fn space(&self, org: &str, project: &str) -> Result<SpaceDetails, Error> {
        self.0.get(&["v1", "spaces", org, project], &()).await
    }

    /// Changes a space.
    pub async fn configure_space(
        &self,
        org: &str,
        project: &str,
        changes: &SpaceChanges,
    ) -> Result<SpaceDetails, Error> {
        let path = ["v1", "spaces", org, project];
        self.0.send(self.0.request(Method::PATCH, &path).json(changes)).await
    }

    /// Deletes a space with everything in it for good. From the answer on nothing in it is found; its data are removed in
    /// the background.
    pub async fn delete_space(&self, org: &str, project: &str) -> Result<SpaceDetails, Error> {
        self.0.send(self.0.request(Method::DELETE, &["v1", "spaces", org, project])).await
    }
}
