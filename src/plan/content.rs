//! What should run: the images of the declared commits in the task definition that they start from.

use serde_json::Value;

use super::facts::{Facts, unreadable};
use super::{memory, render};
use crate::model::{DesiredImage, Digest, Reading, TaskDefinitionArn, TaskDefinitionSource, Waiting};

impl Facts<'_> {
    /// The task definition that should run, or why it cannot be told.
    pub(super) fn render(&self) -> Result<Value, Waiting> {
        self.images_are_there()?;
        let base = self.base()?;
        render::task_definition(self.input.desired, &self.images, &base)
    }

    fn images_are_there(&self) -> Result<(), Waiting> {
        for (wanted, observed) in self.input.desired.images.iter().zip(&self.images) {
            let repository = wanted.repository.to_string();
            let tag = wanted.commit_tag.to_string();
            match &observed.repository {
                Reading::Known(_) => {}
                Reading::Absent => return Err(Waiting::RepositoryMissing { repository }),
                Reading::Unavailable(why) => return Err(unreadable("the ECR repository", why)),
            }
            match &observed.built {
                Reading::Known(image) if image.archived => {
                    return Err(Waiting::ImageArchived { repository, tag });
                }
                Reading::Known(image) => match &observed.stated {
                    Some(Reading::Known(stated)) if stated.digest == image.digest => {}
                    Some(Reading::Unavailable(why)) => {
                        return Err(unreadable("the image that a file names", why));
                    }
                    Some(_) => return Err(Waiting::ImageDisagrees { repository, tag }),
                    None => {}
                },
                Reading::Absent if self.was_deployed(wanted) => {
                    return Err(Waiting::ImageRemoved { repository, tag });
                }
                Reading::Absent => return Err(Waiting::ImageNotBuilt { repository, tag }),
                Reading::Unavailable(why) => return Err(unreadable("the image", why)),
            }
        }
        Ok(())
    }

    /// Whether a revision of ours carries the commit: its image was there once.
    fn was_deployed(&self, wanted: &DesiredImage) -> bool {
        self.ours.values().any(|memory| memory.commit_of(&wanted.name).matches(&wanted.commit))
    }

    fn base(&self) -> Result<Value, Waiting> {
        let revisions = &self.input.observed.revisions;
        match &self.input.desired.task_definition {
            TaskDefinitionSource::File { input, .. } => Ok(input.clone()),
            TaskDefinitionSource::Service => {
                let arn = self.last_good().or_else(|| self.ended_live());
                let arn = arn
                    .ok_or_else(|| Waiting::NoBase { why: "no deployment here ever succeeded".to_owned() })?;
                match revisions.get(&arn) {
                    Some(Reading::Known(revision)) => Ok(revision.input.clone()),
                    Some(Reading::Unavailable(why)) => Err(unreadable("the live task definition", why)),
                    Some(Reading::Absent) => Err(Waiting::NoBase { why: format!("{} is gone", arn.short()) }),
                    None => Err(unreadable("the live task definition", "this look did not ask for it")),
                }
            }
            TaskDefinitionSource::Family(family) => {
                let newest = self
                    .newest()?
                    .ok_or_else(|| Waiting::NoBase { why: format!("family {family} has no revision") })?;
                for arn in newest {
                    match revisions.get(arn) {
                        Some(Reading::Known(revision)) if !memory::is_tagged(revision) => {
                            return Ok(revision.input.clone());
                        }
                        Some(Reading::Unavailable(why)) => return Err(unreadable("the family", why)),
                        _ => {}
                    }
                }
                Err(Waiting::NoBase { why: format!("family {family} has no revision of another registrar") })
            }
        }
    }

    /// What is live, once nothing goes on: where no deployment ever succeeded, nothing else describes the service.
    fn ended_live(&self) -> Option<TaskDefinitionArn> {
        let current = self.current.as_ref()?;
        (current.phase.is_over() && current.live_phase.is_over()).then(|| current.live_revision.clone())
    }

    /// The digest first resolved for a commit stays: a commit tag that was moved later is a finding, not a redeploy.
    pub(super) fn keep_first_digests(&mut self) {
        for (index, wanted) in self.input.desired.images.iter().enumerate() {
            let Some(uri) = self.images[index].repository.known().map(|repository| repository.uri.clone())
            else {
                continue;
            };
            let Some(digest) = self.remembered_digest(wanted, &uri) else { continue };
            if let Reading::Known(image) = &mut self.images[index].built {
                image.digest = digest;
            }
        }
    }

    fn remembered_digest(&self, wanted: &DesiredImage, uri: &str) -> Option<Digest> {
        let prefix = format!("{uri}@");
        self.ours
            .iter()
            .filter(|(_, memory)| memory.commit_of(&wanted.name).matches(&wanted.commit))
            .filter_map(|(arn, memory)| {
                let revision = self.input.observed.revisions.get(*arn)?.known()?;
                let names = render::containers(wanted, &revision.input).ok()?;
                let (_, image) = render::container_images(&revision.input)
                    .find(|(name, _)| names.iter().any(|n| n == name))?;
                Some((memory.applied.as_ref()?.generation, Digest::new(image.strip_prefix(&prefix)?)))
            })
            .max_by_key(|(generation, _)| *generation)
            .map(|(_, digest)| digest)
    }

    /// Whether a commit tag points at another digest than when the commit was first deployed.
    pub(super) fn moved_commit_tags(&self) -> impl Iterator<Item = &DesiredImage> {
        let moved = |(index, _): &(usize, &DesiredImage)| {
            let now = self.input.observed.images.get(*index).and_then(|image| image.built.known());
            let first = self.images[*index].built.known();
            now.map(|image| &image.digest) != first.map(|image| &image.digest)
        };
        self.input.desired.images.iter().enumerate().filter(moved).map(|(_, image)| image)
    }
}
