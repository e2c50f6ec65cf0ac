use memcloud_instance::LocalModel;

use crate::failure::Failure;
use crate::opening::model_folder;
use crate::output::Output;
use crate::settings::DataFlags;

/// The flags by which every instance finds the local model: in one folder for all, where it is fetched once with its progress on
/// the terminal. Without a model they do without fetching one each.
pub(crate) async fn embedding_model(model: &LocalModel, output: Output) -> Result<DataFlags, Failure> {
    let model_dir = model_folder(model, output).await?;
    Ok(DataFlags { data_dir: None, offline: model_dir.is_none() || model.offline, model_dir })
}
