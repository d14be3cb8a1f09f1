//! Many who ask for one, and few calls that ask for many: what is asked for while calls go on goes along with the next one.
//!
//! Whoever asks may come to make the call for others. An answer is never older than the question.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use crate::ports::CloudError;

/// How questions are put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Keys of one call.
    pub most: usize,
    /// Calls that go on at the same time. While they do, the next batch fills up.
    pub calls: usize,
    /// How long the first question waits for company.
    pub linger: Duration,
}

impl Terms {
    /// For calls that take so many keys.
    pub fn new(most: usize, linger: Duration) -> Self {
        Self { most, calls: 4, linger }
    }
}

/// Groups that are kept; beyond this many they start afresh. Whoever asks holds on to its own.
const MOST_GROUPS: usize = 10_000;

/// Questions that can be asked together where they are about the same group, such as a cluster.
pub(super) struct Batches<G, K, V> {
    terms: Terms,
    groups: Mutex<BTreeMap<G, Arc<Batch<K, V>>>>,
}

impl<G: Ord + Clone, K: Ord + Clone, V: Clone> Batches<G, K, V> {
    pub fn new(terms: Terms) -> Self {
        Self { terms, groups: Mutex::default() }
    }

    /// As [`Batch::ask`], in this group.
    pub async fn ask<F>(&self, group: G, key: K, call: impl Fn(Vec<K>) -> F) -> Answer<V>
    where
        F: Future<Output = Result<BTreeMap<K, V>, CloudError>>,
    {
        self.group(group).ask(key, call).await
    }

    fn group(&self, group: G) -> Arc<Batch<K, V>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.len() >= MOST_GROUPS && !groups.contains_key(&group) {
            groups.clear();
        }
        Arc::clone(groups.entry(group).or_insert_with(|| Arc::new(Batch::new(self.terms))))
    }
}

/// Collects questions of one kind, each about one key.
pub(super) struct Batch<K, V> {
    terms: Terms,
    questions: Mutex<VecDeque<Question<K, V>>>,
    calls: Semaphore,
    /// One batch is gathered at a time. Whether the last one had more than one question: who is alone waits for nobody.
    gathering: tokio::sync::Mutex<bool>,
}

struct Question<K, V> {
    key: K,
    answer: oneshot::Sender<Answer<V>>,
}

/// `None`: the answer of AWS said nothing of this key.
pub(super) type Answer<V> = Result<Option<V>, CloudError>;

impl<K: Ord + Clone, V: Clone> Batch<K, V> {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            questions: Mutex::default(),
            calls: Semaphore::new(terms.calls),
            gathering: tokio::sync::Mutex::new(true),
        }
    }

    /// What one call says of this key. `call` is given different keys, at most as many as one call takes; where it refuses
    /// several at once for what may be wrong with one of them, it is asked again for fewer.
    pub async fn ask<F>(&self, key: K, call: impl Fn(Vec<K>) -> F) -> Answer<V>
    where
        F: Future<Output = Result<BTreeMap<K, V>, CloudError>>,
    {
        let (answer, mut answered) = oneshot::channel();
        self.questions().push_back(Question { key, answer });
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => return answer.unwrap_or_else(|_| Err(cut_off())),
                permit = self.calls.acquire() => {
                    let questions = self.gather().await;
                    if questions.is_empty() {
                        // Somebody else has taken this one along.
                        drop(permit);
                        return (&mut answered).await.unwrap_or_else(|_| Err(cut_off()));
                    }
                    answer_all(questions, &call).await;
                }
            }
        }
    }

    /// The questions of the next call.
    async fn gather(&self) -> Vec<Question<K, V>> {
        let mut has_company = self.gathering.lock().await;
        if self.terms.linger.is_zero() || !*has_company {
            tokio::task::yield_now().await;
        } else if self.questions().len() < self.terms.most {
            tokio::time::sleep(self.terms.linger).await;
        }
        let mut questions = self.questions();
        let count = questions.len().min(self.terms.most);
        *has_company = count > 1;
        questions.drain(..count).collect()
    }

    fn questions(&self) -> std::sync::MutexGuard<'_, VecDeque<Question<K, V>>> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer_all<K, V, F>(questions: Vec<Question<K, V>>, call: &impl Fn(Vec<K>) -> F)
where
    K: Ord + Clone,
    V: Clone,
    F: Future<Output = Result<BTreeMap<K, V>, CloudError>>,
{
    let mut keys: Vec<K> = questions.iter().map(|question| question.key.clone()).collect();
    keys.sort();
    keys.dedup();
    let mut answers: BTreeMap<K, Answer<V>> = BTreeMap::new();
    let mut parts = vec![keys];
    while let Some(mut keys) = parts.pop() {
        match call(keys.clone()).await {
            Ok(mut found) => answers.extend(keys.into_iter().map(|key| {
                let value = found.remove(&key);
                (key, Ok(value))
            })),
            Err(error) if keys.len() > 1 && may_be_of_one(&error) => {
                let rest = keys.split_off(keys.len() / 2);
                parts.extend([rest, keys]);
            }
            Err(error) => answers.extend(keys.into_iter().map(|key| (key, Err(error.clone())))),
        }
    }
    for Question { key, answer } in questions {
        // Who no longer waits needs no answer.
        let _ = answer.send(answers.get(&key).cloned().unwrap_or_else(|| Err(cut_off())));
    }
}

/// Whether AWS refuses a whole batch with this for the sake of one member.
fn may_be_of_one(error: &CloudError) -> bool {
    matches!(error, CloudError::NotFound(_) | CloudError::Rejected(_))
}

fn cut_off() -> CloudError {
    CloudError::Unavailable("the call was cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    type Calls = Mutex<Vec<Vec<u32>>>;

    /// Answers twice the number. Zero is not there; 13 is refused together with everybody who is asked for beside it.
    async fn twice(calls: &Calls, keys: Vec<u32>) -> Result<BTreeMap<u32, u32>, CloudError> {
        calls.lock().unwrap().push(keys.clone());
        tokio::task::yield_now().await;
        if keys.contains(&13) {
            return Err(CloudError::NotFound("13".to_owned()));
        }
        if keys.contains(&99) {
            return Err(CloudError::Throttled("99".to_owned()));
        }
        Ok(keys.into_iter().filter(|key| *key != 0).map(|key| (key, 2 * key)).collect())
    }

    async fn asked(most: usize, keys: &[u32]) -> (Vec<Answer<u32>>, Vec<Vec<u32>>) {
        let (batch, calls) = (Batch::new(Terms::new(most, Duration::ZERO)), Calls::default());
        let answers = join_all(keys.iter().map(|key| batch.ask(*key, |keys| twice(&calls, keys)))).await;
        drop(batch);
        (answers, calls.into_inner().unwrap())
    }

    #[tokio::test]
    async fn what_is_asked_for_together_is_one_call() {
        let keys: Vec<u32> = (21..=45).collect();
        let (answers, calls) = asked(10, &keys).await;
        assert_eq!(answers, keys.iter().map(|key| Ok(Some(2 * key))).collect::<Vec<_>>());
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        let (answers, calls) = asked(10, &[7, 7, 0]).await;
        assert_eq!((answers, calls), (vec![Ok(Some(14)), Ok(Some(14)), Ok(None)], vec![vec![0, 7]]));
    }

    #[tokio::test]
    async fn one_that_is_refused_takes_nobody_along() {
        let (answers, calls) = asked(8, &[11, 12, 13, 14]).await;
        let gone = Err(CloudError::NotFound("13".to_owned()));
        assert_eq!(answers, [Ok(Some(22)), Ok(Some(24)), gone, Ok(Some(28))]);
        assert_eq!(calls, [vec![11, 12, 13, 14], vec![11, 12], vec![13, 14], vec![13], vec![14]]);
        // What has nothing to do with one of them is not asked again.
        assert_eq!(asked(8, &[98, 99]).await.1.len(), 1);
    }

    #[tokio::test]
    async fn who_gives_up_in_the_middle_of_a_call_leaves_no_one_waiting() {
        let (batch, calls) = (Batch::new(Terms::new(10, Duration::ZERO)), Calls::default());
        let mut first = Box::pin(batch.ask(1, |keys| twice(&calls, keys)));
        let mut second = Box::pin(batch.ask(2, |keys| twice(&calls, keys)));
        for _ in 0..2 {
            let _ = futures::poll!(&mut first);
            let _ = futures::poll!(&mut second);
        }
        drop(first);
        assert_eq!(second.await, Err(cut_off()));
        assert_eq!(batch.ask(3, |keys| twice(&calls, keys)).await, Ok(Some(6)));
    }
}
