//! A pull request of our own, which is found again by its branch: a second one for the same branch is never opened.

use reqwest::StatusCode;

use super::exchange::{Exchange, Failure};
use super::{HostError, HostedRepository, Pace, Purpose, unclear};

/// Characters of a title: GitHub takes 256 and GitLab 255.
const MOST_TITLE: usize = 255;

/// What is proposed.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'p> {
    /// A branch of the repository itself.
    pub branch: &'p str,
    /// The branch that it is to be merged into.
    pub base: &'p str,
    pub title: &'p str,
    /// It begins with the mark.
    pub text: &'p str,
    /// By which a text of ours is known. What somebody else has written in its place is left alone.
    pub mark: &'p str,
}

/// One that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    pub number: u64,
    /// Its page, as the host names it.
    pub page: String,
    pub title: String,
    pub text: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposed {
    Opened,
    Updated,
    /// It says the same already.
    Unchanged,
    /// Somebody else wrote its text, which stays.
    WrittenByOthers,
}

impl HostedRepository {
    /// What people call a request of it.
    pub fn title_of(&self, request: &OpenRequest) -> String {
        self.host.title(request.number)
    }

    /// The page on which a person opens a request. `web`: that of the repository.
    pub fn page_to_open(&self, web: &str, branch: &str, base: &str) -> String {
        self.host.page_to_open(web, branch, base)
    }

    /// The open request from one branch of the repository to another one.
    pub async fn open_request(
        &self,
        branch: &str,
        base: &str,
        pace: Pace,
    ) -> Result<Option<OpenRequest>, HostError> {
        self.persist(Purpose::Request, pace, async |exchange| self.look(exchange, branch, base).await).await
    }

    /// Opens it, or brings the one that is open up to date. Its branch has been pushed.
    pub async fn propose(
        &self,
        proposal: &Proposal<'_>,
        pace: Pace,
    ) -> Result<(Proposed, OpenRequest), HostError> {
        let title: String = proposal.title.chars().take(MOST_TITLE).collect();
        let proposal = Proposal { title: &title, ..*proposal };
        self.persist(Purpose::Request, pace, async |exchange| self.propose_once(exchange, &proposal).await)
            .await
    }

    async fn look(
        &self,
        exchange: &Exchange,
        branch: &str,
        base: &str,
    ) -> Result<Option<OpenRequest>, Failure> {
        let about = exchange.ask(&self.host.about()).await?;
        let answer = exchange.ask(&self.host.open_requests(&about, branch, base)).await?;
        let listed = answer.as_array().ok_or_else(|| unclear("pull requests"))?;
        Ok(listed.iter().find_map(|listed| self.host.request(listed, branch)))
    }

    async fn propose_once(
        &self,
        exchange: &Exchange,
        proposal: &Proposal<'_>,
    ) -> Result<(Proposed, OpenRequest), Failure> {
        if let Some(open) = self.look(exchange, proposal.branch, proposal.base).await? {
            return self.bring_up_to_date(exchange, proposal, open).await;
        }
        match exchange.ask(&self.host.create_request(proposal)).await {
            Ok(answer) => {
                let open = self.host.request(&answer, proposal.branch);
                Ok((Proposed::Opened, open.ok_or_else(|| unclear("pull request"))?))
            }
            // Somebody else may have opened it since: GitHub says 422 and GitLab 409 to a second one.
            Err(Failure::Refused {
                status: status @ Some(StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT),
                why,
            }) => match self.look(exchange, proposal.branch, proposal.base).await? {
                Some(open) => self.bring_up_to_date(exchange, proposal, open).await,
                None => Err(Failure::Refused { status, why }),
            },
            Err(other) => Err(other),
        }
    }

    async fn bring_up_to_date(
        &self,
        exchange: &Exchange,
        proposal: &Proposal<'_>,
        open: OpenRequest,
    ) -> Result<(Proposed, OpenRequest), Failure> {
        if !open.text.starts_with(proposal.mark) {
            return Ok((Proposed::WrittenByOthers, open));
        }
        if open.text == proposal.text && open.title == proposal.title {
            return Ok((Proposed::Unchanged, open));
        }
        exchange.ask(&self.host.update_request(open.number, proposal)).await?;
        Ok((Proposed::Updated, open))
    }
}
