//! The content store: blobs by digest, and ingests that become blobs when their digest is right.

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1 as api;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::client::LARGEST_MESSAGE;
use super::{Client, Code, Error, Result, values};

/// How often to look whether another writer has ended.
const POLL: Duration = Duration::from_millis(50);
/// Tries for an ingest that is locked and that nobody holds.
const MOST_UNHELD: u32 = 5;

/// A blob in the store.
#[derive(Debug, Clone)]
pub struct BlobInfo {
    /// `sha256:…`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Labels, among them the references that keep other blobs.
    pub labels: HashMap<String, String>,
    /// When it was committed.
    pub created_at: Option<Timestamp>,
}

/// An unfinished blob.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Its reference.
    pub reference: String,
    /// Bytes written.
    pub offset: u64,
    /// Bytes expected, 0 when not known.
    pub total: u64,
    /// When it was begun.
    pub started_at: Option<Timestamp>,
    /// When it was last opened or written.
    pub updated_at: Option<Timestamp>,
}

impl Client {
    /// A whole blob of at most `limit` bytes: manifests and configurations.
    pub async fn read_blob(&self, digest: &str, limit: u64) -> Result<Vec<u8>> {
        let mut stream = self.read_blob_from(digest, 0).await?;
        let mut bytes = Vec::new();
        while let Some(part) = stream.message().await? {
            bytes.extend_from_slice(&part.data);
            if bytes.len() as u64 > limit {
                return Err(Error::other(format!("{digest} is larger than {limit} bytes")));
            }
        }
        Ok(bytes)
    }

    /// A blob from `offset` on, in parts, handed to `sink` one after the other. An error of `sink` ends it.
    pub async fn stream_blob<E: From<Error>>(
        &self,
        digest: &str,
        offset: u64,
        mut sink: impl FnMut(Vec<u8>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut stream = self.read_blob_from(digest, offset).await?;
        while let Some(part) = stream.message().await.map_err(Error::from)? {
            sink(part.data)?;
        }
        Ok(())
    }

    /// A blob from `offset` on, one part after the other.
    pub async fn blob_reader(&self, digest: &str, offset: u64) -> Result<BlobReader> {
        Ok(BlobReader { stream: self.read_blob_from(digest, offset).await? })
    }

    async fn read_blob_from(
        &self,
        digest: &str,
        offset: u64,
    ) -> Result<tonic::Streaming<api::ReadContentResponse>> {
        let offset = i64::try_from(offset).map_err(|_| Error::other("offset out of range"))?;
        let request = self.request(api::ReadContentRequest { digest: digest.into(), offset, size: 0 });
        Ok(self.content_api().read(request).await?.into_inner())
    }

    /// What the store knows of a blob.
    pub async fn blob(&self, digest: &str) -> Result<BlobInfo> {
        let request = self.request(api::InfoRequest { digest: digest.into() });
        let reply = self.content_api().info(request).await?.into_inner();
        reply.info.map(info).ok_or_else(|| Error::other(format!("containerd sent nothing for {digest}")))
    }

    /// Every blob of the namespace that matches one of `filters` (none: all).
    pub async fn blobs(&self, filters: &[String]) -> Result<Vec<BlobInfo>> {
        let request = self.request(api::ListContentRequest { filters: filters.to_vec() });
        let mut stream = self.content_api().list(request).await?.into_inner();
        let mut blobs = Vec::new();
        while let Some(part) = stream.message().await? {
            blobs.extend(part.info.into_iter().map(info));
        }
        Ok(blobs)
    }

    /// Set labels of a blob; those not named stay.
    pub async fn label_blob(&self, digest: &str, labels: HashMap<String, String>) -> Result<()> {
        self.relabel_blob(digest, labels).await.map(drop)
    }

    /// Set labels of a blob, an empty value removing one: what the store knows of it afterwards.
    pub async fn relabel_blob(&self, digest: &str, labels: HashMap<String, String>) -> Result<BlobInfo> {
        let paths: Vec<String> = labels.keys().map(|key| format!("labels.{key}")).collect();
        let request = self.request(api::UpdateRequest {
            info: Some(api::Info { digest: digest.into(), labels, ..api::Info::default() }),
            update_mask: values::mask(&paths.iter().map(String::as_str).collect::<Vec<_>>()),
        });
        let reply = self.content_api().update(request).await?.into_inner();
        reply.info.map(info).ok_or_else(|| Error::other(format!("containerd sent nothing for {digest}")))
    }

    /// Remove a blob at once, whoever refers to it.
    pub async fn delete_blob(&self, digest: &str) -> Result<()> {
        self.content_api().delete(self.request(api::DeleteContentRequest { digest: digest.into() })).await?;
        Ok(())
    }

    /// Every unfinished blob.
    pub async fn ingests(&self) -> Result<Vec<Ingest>> {
        self.ingests_like(vec![]).await
    }

    /// The unfinished blobs whose references match one of the expressions `filters` (none: all).
    pub async fn ingests_like(&self, filters: Vec<String>) -> Result<Vec<Ingest>> {
        let request = self.request(api::ListStatusesRequest { filters });
        let reply = self.content_api().list_statuses(request).await?;
        Ok(reply.into_inner().statuses.into_iter().map(ingest).collect())
    }

    /// Give up an ingest.
    pub async fn abort_ingest(&self, reference: &str) -> Result<()> {
        self.content_api().abort(self.request(api::AbortRequest { r#ref: reference.into() })).await?;
        Ok(())
    }

    /// Write a whole small blob with its labels. One that is there already is fine: its labels are added.
    pub async fn write_blob(
        &self,
        digest: &str,
        bytes: &[u8],
        labels: HashMap<String, String>,
    ) -> Result<()> {
        let written = async {
            let mut writer =
                self.await_writer(&format!("wharfie-{digest}"), bytes.len() as u64, digest).await?;
            if writer.offset() != 0 {
                writer.truncate().await?;
            }
            writer.write(bytes.to_vec()).await?;
            writer.commit(digest, labels.clone()).await
        };
        match written.await {
            Err(error) if error.code == Code::AlreadyExists => self.label_blob(digest, labels).await,
            result => result,
        }
    }

    /// Open or resume the ingest `reference` of a blob of `total` bytes (0: not known) with the digest
    /// `expected` (empty: not known). `AlreadyExists` when the blob is there.
    pub async fn open_writer(&self, reference: &str, total: u64, expected: &str) -> Result<BlobWriter> {
        let (sender, receiver) = mpsc::channel(4);
        let total = i64::try_from(total).map_err(|_| Error::other("blob too large"))?;
        let stat = api::WriteContentRequest {
            action: api::WriteAction::Stat as i32,
            r#ref: reference.into(),
            total,
            expected: expected.into(),
            ..api::WriteContentRequest::default()
        };
        sender.send(stat).await.map_err(|_| Error::other("write stream closed"))?;
        let replies =
            self.content_api().write(self.request(ReceiverStream::new(receiver))).await?.into_inner();
        let mut writer = BlobWriter {
            sender,
            replies,
            reference: reference.into(),
            total,
            expected: expected.into(),
            offset: 0,
        };
        writer.offset = writer.reply().await?.offset;
        Ok(writer)
    }

    /// [`Client::open_writer`], waiting while another process writes the same ingest.
    pub async fn await_writer(&self, reference: &str, total: u64, expected: &str) -> Result<BlobWriter> {
        let mut unheld = 0;
        loop {
            match self.open_writer(reference, total, expected).await {
                // A locked ingest, or a containerd that is gone: then the list of ingests fails too.
                Err(error) if error.code == Code::Unavailable => {
                    let held = self.ingests().await?.iter().any(|ingest| ingest.reference == reference);
                    // Its writer may have ended in between.
                    unheld = if held { 0 } else { unheld + 1 };
                    if unheld > MOST_UNHELD {
                        return Err(error);
                    }
                    tokio::time::sleep(POLL).await;
                }
                result => return result,
            }
        }
    }

    fn content_api(&self) -> api::content_client::ContentClient<tonic::transport::Channel> {
        api::content_client::ContentClient::new(self.channel.clone())
            .max_decoding_message_size(LARGEST_MESSAGE)
    }
}

/// A blob that is being read.
#[derive(Debug)]
pub struct BlobReader {
    stream: tonic::Streaming<api::ReadContentResponse>,
}

impl BlobReader {
    /// The next bytes; None at the end.
    pub async fn part(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.stream.message().await?.map(|part| part.data))
    }
}

/// One open ingest. Dropping it keeps what was written for a later [`Client::open_writer`].
#[derive(Debug)]
pub struct BlobWriter {
    sender: mpsc::Sender<api::WriteContentRequest>,
    replies: tonic::Streaming<api::WriteContentResponse>,
    reference: String,
    total: i64,
    expected: String,
    offset: i64,
}

impl BlobWriter {
    /// How many bytes the store has.
    pub fn offset(&self) -> u64 {
        u64::try_from(self.offset).unwrap_or_default()
    }

    /// Start again from nothing.
    pub async fn truncate(&mut self) -> Result<()> {
        self.offset = 0;
        self.exchange(api::WriteAction::Write, Vec::new(), HashMap::new()).await?;
        Ok(())
    }

    /// Append bytes (a few hundred KiB to a few MiB; containerd takes at most 16 MiB).
    pub async fn write(&mut self, data: Vec<u8>) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        let end = self.offset + data.len() as i64;
        let reply = self.exchange(api::WriteAction::Write, data, HashMap::new()).await?;
        if reply.offset != end {
            return Err(Error::other(format!(
                "containerd has {} bytes of {}, not {end}",
                reply.offset, self.reference
            )));
        }
        self.offset = end;
        Ok(())
    }

    /// Let go of it and wait until containerd has: it can be opened again afterwards.
    pub async fn close(self) {
        let Self { sender, mut replies, .. } = self;
        drop(sender);
        while let Ok(Some(_)) = replies.message().await {}
    }

    /// Make it a blob; containerd verifies the digest. One that came to be in the meantime is fine.
    pub async fn commit(mut self, digest: &str, labels: HashMap<String, String>) -> Result<()> {
        self.expected = digest.into();
        self.exchange(api::WriteAction::Commit, Vec::new(), labels).await?;
        Ok(())
    }

    async fn exchange(
        &mut self,
        action: api::WriteAction,
        data: Vec<u8>,
        labels: HashMap<String, String>,
    ) -> Result<api::WriteContentResponse> {
        let request = api::WriteContentRequest {
            action: action as i32,
            r#ref: self.reference.clone(),
            total: self.total,
            expected: self.expected.clone(),
            offset: self.offset,
            data,
            labels,
        };
        if self.sender.send(request).await.is_err() {
            // The stream has ended: its status says why.
            self.reply().await?;
            return Err(Error::other("write stream closed"));
        }
        self.reply().await
    }

    async fn reply(&mut self) -> Result<api::WriteContentResponse> {
        self.replies
            .message()
            .await?
            .ok_or_else(|| Error { code: Code::Unavailable, message: "containerd ended the write".into() })
    }
}

fn info(value: api::Info) -> BlobInfo {
    BlobInfo {
        digest: value.digest,
        size: u64::try_from(value.size).unwrap_or_default(),
        labels: value.labels,
        created_at: values::time(value.created_at),
    }
}

fn ingest(value: api::Status) -> Ingest {
    Ingest {
        reference: value.r#ref,
        offset: u64::try_from(value.offset).unwrap_or_default(),
        total: u64::try_from(value.total).unwrap_or_default(),
        started_at: values::time(value.started_at),
        updated_at: values::time(value.updated_at),
    }
}
