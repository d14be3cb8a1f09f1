//! What a reading says of the images: those declared and tagged, those that run, and those that could be gone back to.

use std::collections::BTreeMap;

use futures::future::{join, join_all};

use super::observe::{Images, Observer};
use super::of_interest::{pinned_digests, running_and_deployed};
use crate::model::{
    Desired, DesiredImage, Digest, Image, ImageReference, Millis, MoveTag, Mutability, ObservedImage,
    Reading, Repository, Revision, TagMatch, Task,
};
use crate::plan::commits;
use crate::ports::CloudError;

/// Images of one repository that are looked up because a revision at hand is pinned to them; what could be gone back to
/// comes first, and the rest is only told of.
const MOST_PINNED: usize = 5;
/// How long the answer of a search through the tags of a repository is good, in milliseconds for each page it took: it is
/// searched no more often than who waits for a build looks for it.
const SEARCH: Millis = 30_000;
/// Images that are looked up because something runs them: few run at once, and the bound is for a service that is broken
/// in a new way.
const MOST_RUNNING: usize = 10;

/// What the tags of the declared commit and of the environment are on.
struct BothTags {
    built: Reading<Image>,
    tag_match: TagMatch,
    tagged: Reading<Image>,
}

impl BothTags {
    fn same(reading: impl Fn() -> Reading<Image>) -> Self {
        Self { built: reading(), tag_match: TagMatch::Exact, tagged: reading() }
    }

    fn at_rest(image: &Image) -> Self {
        Self::same(|| Reading::Known(image.clone()))
    }
}

impl Observer<'_> {
    pub(super) async fn images(
        &self,
        desired: &Desired,
        tasks: Option<&Vec<Task>>,
        deployed: &[&Revision],
        fresh: bool,
    ) -> Vec<ObservedImage> {
        let mut images = Vec::new();
        for wanted in &desired.images {
            let repository = self.repository(desired, wanted, fresh).await;
            let tags = self.built_and_tagged(desired, wanted, &repository).await;
            images.push(self.image(desired, wanted, repository, tags, (tasks, deployed)).await);
        }
        images
    }

    /// The same for who has just begun to look: of many services most are at rest, and AWS answers who pulls more often than who asks
    /// for a description.
    async fn images_at_rest(
        &self,
        desired: &Desired,
        tasks: Option<&Vec<Task>>,
        deployed: &[&Revision],
    ) -> Vec<ObservedImage> {
        let mut images = Vec::new();
        for wanted in &desired.images {
            let repository = self.repository(desired, wanted, false).await;
            let tags = match self.at_rest(desired, wanted).await {
                Some(image) => BothTags::at_rest(&image),
                None => self.built_and_tagged(desired, wanted, &repository).await,
            };
            images.push(self.image(desired, wanted, repository, tags, (tasks, deployed)).await);
        }
        images
    }

    /// The image that both tags are on. Of a short commit it would not be told which commit it stands for.
    async fn at_rest(&self, desired: &Desired, wanted: &DesiredImage) -> Option<Image> {
        if !wanted.commit.is_whole() {
            return None;
        }
        let registry = desired.registry.account.as_ref();
        let by_tag = |tag| self.ecr.pulled_by_tag(registry, &wanted.repository, tag);
        let (built, tagged) = join(by_tag(&wanted.commit_tag), by_tag(&desired.environment_tag)).await;
        let (mut built, tagged) = (built.ok()??, tagged.ok()??);
        built.tags.extend(tagged.tags);
        (built.digest == tagged.digest).then_some(built)
    }

    /// Has the settings of the repositories at hand, where they are going to be asked for.
    pub(super) async fn repositories(&self, desired: &Desired, asked: &Images, fresh: bool) {
        if matches!(asked, Images::Anew | Images::AtRest) {
            join_all(desired.images.iter().map(|wanted| self.repository(desired, wanted, fresh))).await;
        }
    }

    /// The images, by as much of the registry as is asked for.
    pub(super) async fn images_as_asked(
        &self,
        desired: &Desired,
        asked: Images,
        tasks: Option<&Vec<Task>>,
        deployed: &[&Revision],
        fresh: bool,
    ) -> Vec<ObservedImage> {
        match asked {
            Images::Kept(images) => images,
            Images::Confirmed(mut images) if self.are_confirmed(desired, &images).await => {
                for (wanted, image) in desired.images.iter().zip(&mut images) {
                    let digests = running_and_deployed(&image.repository, tasks, deployed).into_iter();
                    let unknown = digests.filter(|digest| !image.known.contains_key(digest)).collect();
                    let seen = [&image.built, &image.tagged];
                    let found = self.other_images(desired, wanted, unknown, seen).await;
                    image.known.extend(found);
                }
                images
            }
            Images::AtRest => self.images_at_rest(desired, tasks, deployed).await,
            Images::Confirmed(_) | Images::Anew => self.images(desired, tasks, deployed, fresh).await,
        }
    }

    /// Whether the tags still stand for the images that they stood for, by a call of which AWS allows two thousand a second.
    async fn are_confirmed(&self, desired: &Desired, images: &[ObservedImage]) -> bool {
        let confirmed = desired.images.iter().zip(images);
        let confirmed = confirmed.map(async |(wanted, image)| {
            let commit_tag = match &image.tag_match {
                TagMatch::Exact => &wanted.commit_tag,
                TagMatch::Longer(tag) => tag,
                _ => return false,
            };
            let tagged = match &image.tagged {
                Reading::Known(tagged) => Some(&tagged.digest),
                Reading::Absent => None,
                Reading::Unavailable(_) => return false,
            };
            let (Some(built), None) = (image.built.known(), &image.stated) else { return false };
            let registry = desired.registry.account.as_ref();
            let by_tag = |tag| self.ecr.pulled_by_tag(registry, &wanted.repository, tag);
            let (now_built, now_tagged) = join(by_tag(commit_tag), by_tag(&desired.environment_tag)).await;
            let is = |now: Option<Image>, known: Option<&Digest>| now.map(|now| now.digest).as_ref() == known;
            now_built.is_ok_and(|now| is(now, Some(&built.digest)))
                && now_tagged.is_ok_and(|now| is(now, tagged))
        });
        images.len() == desired.images.len() && join_all(confirmed).await.into_iter().all(|one| one)
    }

    /// What the declared images were built for, where no index says so. It is asked before a change alone.
    pub(super) async fn tell_platforms(&self, desired: &Desired, images: &mut [ObservedImage]) {
        let registry = desired.registry.account.as_ref();
        for (wanted, image) in desired.images.iter().zip(images) {
            let Reading::Known(built) = &mut image.built else { continue };
            if built.platforms.is_empty() && !built.archived {
                built.platforms.extend(self.ecr.platform(registry, &wanted.repository, &built.digest).await);
            }
        }
    }

    async fn image(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        repository: Reading<Repository>,
        BothTags { built, tag_match, tagged }: BothTags,
        (tasks, deployed): (Option<&Vec<Task>>, &[&Revision]),
    ) -> ObservedImage {
        let digests = running_and_deployed(&repository, tasks, deployed);
        let known = self.other_images(desired, wanted, digests, [&built, &tagged]).await;
        let stated = match &wanted.stated {
            Some(reference) => Some(self.stated(desired, wanted, reference).await),
            None => None,
        };
        ObservedImage { repository, built, tag_match, tagged, stated, known }
    }

    /// Both tags are asked for together, which is one call where both are there, as they are at rest.
    async fn built_and_tagged(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        repository: &Reading<Repository>,
    ) -> BothTags {
        match repository {
            Reading::Known(_) => {}
            Reading::Absent => return BothTags::same(|| Reading::Absent),
            Reading::Unavailable(why) => return BothTags::same(|| Reading::Unavailable(why.clone())),
        }
        let registry = desired.registry.account.as_ref();
        let by_tag = |tag| self.ecr.image_by_tag(registry, &wanted.repository, tag);
        let (exact, tagged) = join(by_tag(&wanted.commit_tag), by_tag(&desired.environment_tag)).await;
        let (built, tag_match) = match Reading::from(exact) {
            Reading::Absent => self.built_by_digits(desired, wanted).await,
            exact => (exact, TagMatch::Exact),
        };
        let same = built.known().is_some_and(|image| image.tags.contains(&desired.environment_tag));
        let tagged = if same { built.clone() } else { Reading::from(tagged) };
        BothTags { built, tag_match, tagged }
    }

    /// The image of a commit whose commit tag is not there, by a tag with more of its digits.
    async fn built_by_digits(&self, desired: &Desired, wanted: &DesiredImage) -> (Reading<Image>, TagMatch) {
        let registry = desired.registry.account.as_ref();
        match self.tag_match(desired, wanted).await {
            Ok(TagMatch::Longer(tag)) => {
                let built = Reading::from(self.ecr.image_by_tag(registry, &wanted.repository, &tag).await);
                (built, TagMatch::Longer(tag))
            }
            Ok(other) => (Reading::Absent, other),
            // Who may not look for other tags goes by the commit tag alone.
            Err(CloudError::Denied(_) | CloudError::NotFound(_) | CloudError::Rejected(_)) => {
                (Reading::Absent, TagMatch::Exact)
            }
            Err(error) => (Reading::from(Err(error)), TagMatch::Exact),
        }
    }

    /// Searches the tags of the repository, at most one page in [`SEARCH`] on average.
    async fn tag_match(&self, desired: &Desired, wanted: &DesiredImage) -> Result<TagMatch, CloudError> {
        let Some(beginning) = commits::tag_beginning(wanted) else { return Ok(TagMatch::Exact) };
        let key = (desired.registry.clone(), wanted.repository.clone(), wanted.commit_tag.clone());
        let now = self.clock.now();
        if let Some(kept) = self.cache.tag_match(&key, now) {
            return Ok(kept);
        }
        let registry = desired.registry.account.as_ref();
        let tags = self.ecr.tags(registry, &wanted.repository, &beginning).await?;
        let tag_match = commits::tag_match(wanted, &tags);
        let until = now.saturating_add(SEARCH.saturating_mul(Millis::from(tags.pages)));
        self.cache.keep_tag_match(key, tag_match.clone(), until);
        Ok(tag_match)
    }

    /// Where something fails it matters whether the images that could be gone back to are still there.
    pub(super) async fn pinned_images(
        &self,
        desired: &Desired,
        mut images: Vec<ObservedImage>,
        revisions: &[&Revision],
    ) -> Vec<ObservedImage> {
        for (wanted, image) in desired.images.iter().zip(&mut images) {
            let Some(uri) = image.repository.known().map(|repository| repository.uri.clone()) else {
                continue;
            };
            let pinned = pinned_digests(revisions, &uri);
            let unknown = pinned.into_iter().filter(|digest| !image.known.contains_key(digest));
            for digest in unknown.take(MOST_PINNED).collect::<Vec<_>>() {
                let registry = desired.registry.account.as_ref();
                let found =
                    Reading::from(self.ecr.image_by_digest(registry, &wanted.repository, &digest).await);
                image.known.insert(digest, found);
            }
        }
        images
    }

    async fn stated(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        reference: &ImageReference,
    ) -> Reading<Image> {
        let registry = desired.registry.account.as_ref();
        Reading::from(match reference {
            ImageReference::Tag(tag) => self.ecr.image_by_tag(registry, &wanted.repository, tag).await,
            ImageReference::Digest(digest) => {
                self.ecr.image_by_digest(registry, &wanted.repository, digest).await
            }
        })
    }

    /// What is known of a repository that only lets itself be pulled from, where that is enough: no tag is moved there, so
    /// its settings play no part.
    fn pull_only(&self, desired: &Desired, wanted: &DesiredImage) -> Option<Repository> {
        // Without a registry of its own it is that of the account, which is held against that of the credentials.
        let account = desired.registry.account.as_ref().or(desired.account.as_ref());
        let uri = self.ecr.address(account, &wanted.repository)?;
        let mutability = Mutability { mutable_by_default: true, exceptions: Vec::new() };
        let known = Repository { name: wanted.repository.clone(), uri, mutability };
        (desired.policy.move_tag == MoveTag::Never).then_some(known)
    }

    /// Its settings are asked anew before a write, unless that was a moment ago.
    async fn repository(&self, desired: &Desired, wanted: &DesiredImage, fresh: bool) -> Reading<Repository> {
        let key = (desired.registry.clone(), wanted.repository.clone());
        let now = self.clock.now();
        if let Some(repository) = self.cache.repository(&key, fresh, now) {
            return Reading::Known(repository);
        }
        let registry = desired.registry.account.as_ref();
        let found = self.ecr.repository(registry, &wanted.repository).await;
        let repository = match (found, self.pull_only(desired, wanted)) {
            (Err(CloudError::Denied(_)), Some(known)) => Reading::Known(known),
            (found, _) => Reading::from(found),
        };
        if let Reading::Known(repository) = &repository {
            self.cache.keep_repository(key, repository.clone(), now);
        }
        repository
    }

    /// Digests that run or were deployed and are neither built nor tagged are looked up, so that their commits can be
    /// named, and it is seen where an image has been removed.
    async fn other_images(
        &self,
        desired: &Desired,
        wanted: &DesiredImage,
        digests: Vec<Digest>,
        seen: [&Reading<Image>; 2],
    ) -> BTreeMap<Digest, Reading<Image>> {
        let is_seen =
            |digest: &Digest| seen.iter().filter_map(|image| image.known()).any(|image| image.is(digest));
        let mut known = BTreeMap::new();
        for digest in digests.into_iter().filter(|digest| !is_seen(digest)).take(MOST_RUNNING) {
            let registry = desired.registry.account.as_ref();
            let image = Reading::from(self.ecr.image_by_digest(registry, &wanted.repository, &digest).await);
            known.insert(digest, image);
        }
        known
    }
}
