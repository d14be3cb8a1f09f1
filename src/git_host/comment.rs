//! The one comment on a pull request: found again by its mark and its author, and brought up to date.

use super::exchange::{Exchange, Failure};
use super::{HostError, HostedRepository, PER_PAGE, Pace, Purpose, unclear};

/// Comments that are read to find our own: GitLab takes 5,000 on a merge request, GitHub half of it.
const MOST_PAGES: usize = 50;

/// What becomes of the comment where there is none yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is written.
    Wanted,
    /// Only one that is there is brought up to date.
    IfThere,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commented {
    Created,
    Updated,
    /// None was there, and none was wanted.
    Left,
}

impl HostedRepository {
    pub(super) async fn comment(
        &self,
        request: u64,
        mark: &str,
        text: &str,
        presence: Presence,
        pace: Pace,
    ) -> Result<Commented, HostError> {
        let whole = |_: Option<&str>| text.to_owned();
        let done = self.persist(Purpose::Comment, pace, async |exchange| {
            self.comment_once(exchange, request, mark, &whole, presence).await
        });
        let too_many = || HostError::TooMany { host: self.host.name(), most: MOST_PAGES * PER_PAGE };
        done.await?.ok_or_else(too_many)
    }

    /// `text`: the new one, from the one that is there. `None` where there are too many comments to know.
    pub(super) async fn comment_once(
        &self,
        exchange: &Exchange,
        request: u64,
        mark: &str,
        text: &(dyn Fn(Option<&str>) -> String + Sync),
        presence: Presence,
    ) -> Result<Option<Commented>, Failure> {
        let me = exchange.ask(&self.host.who_am_i()).await?;
        let me = self.host.me(&me).ok_or_else(|| unclear("user"))?;
        for page in 1..=MOST_PAGES {
            let answer = exchange.ask(&self.host.comments(request, page)).await?;
            let listed = answer.as_array().ok_or_else(|| unclear("comments"))?;
            let mut comments = listed.iter().filter_map(|listed| self.host.comment(listed));
            if let Some(ours) = comments.find(|one| one.author == me && one.text.starts_with(mark)) {
                let text = text(Some(&ours.text));
                exchange.ask(&self.host.update_comment(request, ours.id, &text)).await?;
                return Ok(Some(Commented::Updated));
            }
            if listed.len() < PER_PAGE {
                if presence == Presence::IfThere {
                    return Ok(Some(Commented::Left));
                }
                exchange.ask(&self.host.create_comment(request, &text(None))).await?;
                return Ok(Some(Commented::Created));
            }
        }
        Ok(None)
    }
}
