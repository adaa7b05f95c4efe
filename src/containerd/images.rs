//! Image names: a name, what it points at, labels.

use std::collections::HashMap;

use containerd_client::services::v1 as api;
use jiff::Timestamp;
use oci_spec::image::Descriptor;

use super::client::LARGEST_MESSAGE;
use super::{Client, Error, Result, values};

/// A named image.
#[derive(Debug, Clone)]
pub struct Image {
    /// `docker.io/library/busybox:latest`.
    pub name: String,
    /// The index or manifest.
    pub target: Descriptor,
    /// Labels of the name.
    pub labels: HashMap<String, String>,
    /// When the name was made.
    pub created_at: Option<Timestamp>,
    /// When it was last moved.
    pub updated_at: Option<Timestamp>,
}

impl Client {
    /// Every image that matches one of `filters` (none: all).
    pub async fn images(&self, filters: &[String]) -> Result<Vec<Image>> {
        let request = self.request(api::ListImagesRequest { filters: filters.to_vec() });
        let reply = self.images_api().list(request).await?.into_inner();
        reply.images.into_iter().map(from_api).collect()
    }

    /// The image of that name.
    pub async fn image(&self, name: &str) -> Result<Image> {
        let reply = self
            .images_api()
            .get(self.request(api::GetImageRequest { name: name.into() }))
            .await?
            .into_inner();
        from_api(reply.image.ok_or_else(|| Error::other(format!("containerd sent no image for {name}")))?)
    }

    /// Point a name at a target, whether or not the name exists.
    pub async fn put_image(&self, image: &Image) -> Result<()> {
        let create = api::CreateImageRequest { image: Some(to_api(image)), source_date_epoch: None };
        match self.images_api().create(self.request(create)).await {
            Ok(_) => Ok(()),
            Err(status) if status.code() == tonic::Code::AlreadyExists => {
                let update = api::UpdateImageRequest {
                    image: Some(to_api(image)),
                    update_mask: values::mask(&["target", "labels"]),
                    source_date_epoch: None,
                };
                self.images_api().update(self.request(update)).await?;
                Ok(())
            }
            Err(status) => Err(status.into()),
        }
    }

    /// Make a name; `AlreadyExists` when it is taken.
    pub async fn create_image(&self, image: &Image) -> Result<()> {
        let create = api::CreateImageRequest { image: Some(to_api(image)), source_date_epoch: None };
        self.images_api().create(self.request(create)).await?;
        Ok(())
    }

    /// Set labels of a name, an empty value removing one; with `all`, those not named go. The image afterwards.
    pub async fn relabel_image(
        &self,
        name: &str,
        labels: HashMap<String, String>,
        all: bool,
    ) -> Result<Image> {
        let paths: Vec<String> = match all {
            true => vec!["labels".into()],
            false => labels.keys().map(|key| format!("labels.{key}")).collect(),
        };
        let update = api::UpdateImageRequest {
            // containerd 2 falls over an image without a target, even one that does not matter.
            image: Some(api::Image {
                name: name.into(),
                labels,
                target: Some(Default::default()),
                ..api::Image::default()
            }),
            update_mask: values::mask(&paths.iter().map(String::as_str).collect::<Vec<_>>()),
            source_date_epoch: None,
        };
        let reply = self.images_api().update(self.request(update)).await?.into_inner();
        from_api(reply.image.ok_or_else(|| Error::other(format!("containerd sent no image for {name}")))?)
    }

    /// Forget a name; `sync` waits until what it alone kept is collected.
    pub async fn delete_image(&self, name: &str, sync: bool) -> Result<()> {
        let request = self.request(api::DeleteImageRequest { name: name.into(), sync, target: None });
        self.images_api().delete(request).await?;
        Ok(())
    }

    fn images_api(&self) -> api::images_client::ImagesClient<tonic::transport::Channel> {
        api::images_client::ImagesClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }
}

fn from_api(image: api::Image) -> Result<Image> {
    let target =
        image.target.ok_or_else(|| Error::other(format!("image {} points at nothing", image.name)))?;
    Ok(Image {
        name: image.name,
        target: values::descriptor(target)?,
        labels: image.labels,
        created_at: values::time(image.created_at),
        updated_at: values::time(image.updated_at),
    })
}

fn to_api(image: &Image) -> api::Image {
    api::Image {
        name: image.name.clone(),
        labels: image.labels.clone(),
        target: Some(values::to_descriptor(&image.target)),
        ..api::Image::default()
    }
}
