//! Categories with their tags, types of sets, and what sets have disabled, under the same ids.

use std::collections::BTreeSet;

use memcloud_domain::{CategoryOrigin, FactScope};
use memcloud_ports::Engine;

use crate::error::Error;

/// Copies the categories. Their spaces have been copied before.
pub(super) async fn copy(source: &Engine, target: &Engine) -> Result<(), Error> {
    let (from, to) = (&source.categories, &target.categories);
    for set_type in from.set_types(None).await?.into_iter().filter(|known| is_copied(&known.scope)) {
        to.put_set_type(&set_type).await?;
    }
    for category in from.categories(None).await? {
        to.put_category(&category).await?;
    }
    for disabled in from.disabled_categories().await?.into_iter().filter(|of| is_copied(&of.set.scope)) {
        to.enable_category(&disabled, false).await?;
    }
    Ok(())
}

/// Compares what the source has.
pub(super) async fn check(source: &Engine, target: &Engine) -> Result<(), Error> {
    let (here, there) = (catalog(source).await?, catalog(target).await?);
    if here.is_subset(&there) {
        return Ok(());
    }
    let missing = here.difference(&there).count();
    Err(Error::CategoriesDiffer { here: here.len(), missing })
}

/// Everything about categories, as text. A space that is being deleted is not copied.
async fn catalog(engine: &Engine) -> Result<BTreeSet<String>, Error> {
    let mut types = engine.categories.set_types(None).await?;
    types.retain(|known| is_copied(&known.scope));
    let mut catalog: BTreeSet<String> = types.iter().map(|known| format!("{known:?}")).collect();
    for category in engine.categories.categories(None).await? {
        let is_copied = match &category.origin {
            CategoryOrigin::Set(set) => is_copied(&set.scope),
            CategoryOrigin::SetType(id) => types.iter().any(|known| known.id == *id),
            CategoryOrigin::BuiltIn => true,
        };
        if is_copied {
            catalog.insert(format!("{category:?}"));
        }
    }
    let disabled = engine.categories.disabled_categories().await?;
    catalog.extend(disabled.iter().filter(|of| is_copied(&of.set.scope)).map(|of| format!("{of:?}")));
    Ok(catalog)
}

/// Whether a scope can be on both sides: a space that is being deleted has a hidden name, without an organization.
fn is_copied(scope: &FactScope) -> bool {
    !scope.org.is_empty()
}
