//! How long it takes from a merge until what it declares runs. Git is asked beside the sweeps: nothing waits for the answer.

use tokio::sync::mpsc;

use super::source::InfraRepository;
use crate::http::Board;
use crate::http::deployments::Arrival;
use crate::model::{Declaration, Head, InfraCommit, Millis};

/// Arrivals of which git is still to be asked. A question takes milliseconds, and a rollout of a thousand takes minutes: what does not
/// fit is left out.
const QUEUE: usize = 1000;

/// Asks and tells, as long as anybody holds it.
#[derive(Clone)]
pub(super) struct LeadTimes(mpsc::Sender<Question>);

struct Question {
    arrival: Arrival,
    head: InfraCommit,
    /// What declares the environment.
    file: String,
}

impl LeadTimes {
    pub fn start(source: InfraRepository, board: Board) -> Self {
        let (queue, mut questions) = mpsc::channel::<Question>(QUEUE);
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                let source = source.clone();
                let ask = move || (lead_time(&source, &question), question);
                let Ok((took, question)) = tokio::task::spawn_blocking(ask).await else { return };
                if let Some(took) = took {
                    board.lead_time(&question.arrival.target.environment, took);
                }
            }
        });
        Self(queue)
    }

    /// Never waits. A working tree has no commit that was made at a time.
    pub fn ask(&self, declaration: &Declaration, arrival: Arrival) {
        let Some(head) = declaration.infra_commit.clone() else { return };
        let Some(desired) = declaration.readable().find(|desired| desired.target == arrival.target) else {
            return;
        };
        let file = desired.declared_at.file.clone();
        // Where the queue is full there is one time less.
        let _ = self.0.try_send(Question { arrival, head, file });
    }
}

fn lead_time(source: &InfraRepository, Question { arrival, head, file }: &Question) -> Option<Millis> {
    between(&source.declared_since(head, file, (&arrival.target, &arrival.commit))?, arrival.at)
}

/// In milliseconds; `None` where the clock of whoever committed is ahead of AWS's.
fn between(declared: &Head, arrived: Millis) -> Option<Millis> {
    let took = arrived.checked_sub(declared.time.checked_mul(1000)?)?;
    (took >= 0).then_some(took)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::scratch;
    use crate::model::{ApplicationName, Commit, EnvironmentName, Target};

    #[test]
    fn a_lead_time_begins_with_the_commit_that_declared_what_runs() {
        let folder = tempfile::tempdir().unwrap();
        scratch::init(folder.path()).unwrap();
        let declare = |file: &str, commit: &str| {
            let text = format!(
                "apiVersion: trueup.dev/v1\nkind: Environment\nmetadata: {{name: test}}\nspec: {{cluster: mco, applications: {{api: {{commit: {commit}}}}}}}\n"
            );
            std::fs::write(folder.path().join(file), text).unwrap();
            scratch::commit_all(folder.path(), commit).unwrap()
        };
        declare("test.yaml", "aaaaaaa");
        let declared = declare("test.yaml", "bbbbbbb");
        let head = declare("other.yaml", "ccccccc");
        let source = InfraRepository::at(folder.path()).unwrap();
        let target =
            Target { environment: EnvironmentName::new("test"), application: ApplicationName::new("api") };
        let since = |commit: &str| source.declared_since(&head, "test.yaml", (&target, &Commit::new(commit)));
        let since_b = since("bbbbbbb0").unwrap();
        assert_eq!(since_b.commit, declared);
        assert_eq!(since("ddddddd"), None);
        let time = since_b.time * 1000;
        let question = |at| Question {
            arrival: Arrival { target: target.clone(), commit: Commit::new("bbbbbbb"), at },
            head: head.clone(),
            file: "test.yaml".to_owned(),
        };
        assert_eq!(lead_time(&source, &question(time + 90_000)), Some(90_000));
        assert_eq!(lead_time(&source, &question(time - 1)), None, "a clock that is ahead");
    }
}
