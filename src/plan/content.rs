//! What should run: the images of the declared commits in the task definition that they start from.

use serde_json::Value;

use super::facts::{Facts, IMAGE, REPOSITORY, unreadable};
use super::render;
use crate::documents::memory;
use crate::model::{Reading, Revision, TagMatch, TaskDefinitionArn, TaskDefinitionSource, Waiting};

impl Facts<'_> {
    /// The task definition that should run, or why it cannot be told.
    pub(super) fn render(&self) -> Result<Value, Waiting> {
        self.images_are_there()?;
        let base = self.base()?;
        render::task_definition(self.input.desired, self.images, &base)
    }

    fn images_are_there(&self) -> Result<(), Waiting> {
        for (wanted, observed) in self.input.desired.images.iter().zip(self.images) {
            let repository = wanted.repository.to_string();
            let tag = observed.commit_tag(wanted).to_string();
            match &observed.repository {
                Reading::Known(_) => {}
                Reading::Absent => return Err(Waiting::RepositoryMissing { repository }),
                Reading::Unavailable(why) => return Err(unreadable(REPOSITORY, why)),
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
                Reading::Absent if self.is_removed(wanted, observed) => {
                    return Err(Waiting::ImageRemoved { repository, tag });
                }
                Reading::Absent => {
                    let tag_match = observed.tag_match.clone();
                    let missing = match tag_match {
                        TagMatch::Several(tags) => {
                            Waiting::CommitAmbiguous { repository, commit: wanted.commit.clone(), tags }
                        }
                        tag_match => Waiting::ImageNotBuilt { repository, tag, tag_match },
                    };
                    return Err(self.moved_commit_tag(wanted, observed).unwrap_or(missing));
                }
                Reading::Unavailable(why) => return Err(unreadable(IMAGE, why)),
            }
        }
        Ok(())
    }

    pub(super) fn base(&self) -> Result<Value, Waiting> {
        if let TaskDefinitionSource::File { input, .. } = &self.input.desired.task_definition {
            return Ok(Value::clone(input));
        }
        let revision = self.base_revision()?;
        revision.map(|revision| revision.input.clone()).ok_or_else(no_success)
    }

    /// The revision that the next one starts from; `None` where that is a file.
    pub(super) fn base_revision(&self) -> Result<Option<&Revision>, Waiting> {
        let revisions = &self.input.observed.revisions;
        match &self.input.desired.task_definition {
            TaskDefinitionSource::File { .. } => Ok(None),
            TaskDefinitionSource::Service => {
                let arn = self.last_good().or_else(|| self.ended_live());
                let arn = arn.ok_or_else(no_success)?;
                match revisions.get(&arn) {
                    Some(Reading::Known(revision)) => Ok(Some(revision)),
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
                            return Ok(Some(revision));
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
}

fn no_success() -> Waiting {
    Waiting::NoBase { why: "no deployment here ever succeeded".to_owned() }
}
