//! `--pull-request`: a change of the infrastructure repository goes to a branch of its own, and is proposed at the git host with
//! its plan as the text. There is one request for what is done to one target: a later change of the same kind takes its place,
//! since two that edit one line cannot both be merged, and the older one would take the target back.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use sha2::{Digest as _, Sha256};

use super::change::{Change, Made, Work};
use super::end::End;
use super::git_program::complaint;
use super::plan::as_markdown;
use super::source::InfraRepository;
use super::{controller, progress};
use crate::controller::{Writes, plans};
use crate::escape::{line, markdown};
use crate::git_host::{Access, HostedRepository, Pace, Proposal, Proposed};
use crate::view::{self, comparison, links};

/// How long AWS is asked for the plan.
const ASKED: Duration = Duration::from_secs(30);
/// Characters of a branch that say what it is about.
const MOST_READABLE: usize = 60;
/// Digits of a hash that keep two branches apart: fewer than those of a commit, which it must not look like.
const DIGITS: usize = 6;
/// Pushes, where somebody else pushes the same branch at the same time: each makes the same change.
const MOST_PUSHES: usize = 5;

pub(super) async fn propose(work: &Work, change: &dyn Change) -> anyhow::Result<End> {
    let (address, settings) = (address(work)?, work.settings());
    let variables = |name: &str| std::env::var(name).ok();
    let host = HostedRepository::at(
        &address,
        &settings.host,
        settings.credentials.token.clone().map(Access::Token),
        &variables,
    )?;
    let Some(made) = work.commit_change(change)? else { return Ok(End::Good) };
    let (base, branch) = (work.branch(), branch_name(&made.topic, work.branch(), &settings.path));
    // Before anything is pushed: whether the host lets the token in.
    let open = host.open_request(&branch, base, Pace::NORMAL).await?;
    let plan = text(&made, &plan(work, &made).await?);
    let targets: Vec<String> = made.targets.iter().map(ToString::to_string).collect();
    let mark = view::comment::mark(&settings.path, &targets);
    let text = view::comment::comment(&mark, &targets, &plan, host.most_characters());
    let published = publish(work, &made, &branch, open.is_some())?;
    let proposal = Proposal { branch: &branch, base, title: made.subject(), text: &text, mark: &mark };
    let proposed = host.propose(&proposal, Pace::NORMAL).await.with_context(|| {
        let page = links::web(&address).map(|web| host.page_to_open(&web, &branch, base));
        let page = page.map(|page| format!(", or open it at {page}")).unwrap_or_default();
        format!("the branch {branch} is pushed and has no pull request that says so; run the same command again{page}")
    });
    let (proposed, request) = proposed?;
    let title = host.title_of(&request);
    match (proposed, published) {
        (Proposed::Opened, _) => say!("opened {title}: {}", made.subject()),
        (Proposed::Unchanged, Published::AsItWas) => say!("{title} says so already: {}", made.subject()),
        (Proposed::Unchanged | Proposed::Updated, _) => {
            say!("brought {title} up to date: {}", made.subject());
        }
        (Proposed::WrittenByOthers, _) => {
            say!("{title} has {}; somebody else wrote its text, which stays", made.subject());
        }
    }
    outln!("{}", line(&request.page));
    Ok(End::Good)
}

/// Where the branch is pushed to.
fn address(work: &Work) -> anyhow::Result<String> {
    let remote = work.remote();
    work.git()
        .run(&["remote", "get-url", "--", &remote])
        .with_context(|| format!("there is no remote {}", line(&remote)))
}

/// What is done to whom can be read in it. The hash keeps those apart that read alike, and those for other branches and folders.
fn branch_name(topic: &str, base: &str, path: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let readable: String = topic.chars().map(plain).take(MOST_READABLE).collect();
    let mut hash = Sha256::new();
    for part in [topic, base, path] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digits: String = hex::encode(hash.finalize()).chars().take(DIGITS).collect();
    format!("trueup/{readable}-{digits}")
}

/// Why, where somebody said so, the plan, and what becomes of the request later.
fn text(made: &Made, plan: &str) -> String {
    let reason = made.message.lines().skip(1).find(|line| !line.is_empty());
    let reason = reason.map(|reason| format!("Reason: {}\n\n", markdown(reason))).unwrap_or_default();
    let later = markdown(&format!("{} again", made.topic));
    format!("{reason}{plan}\nTo {later} before this is merged changes this request.\n")
}

/// What would be done once it is merged, as `plan --comment` says it.
async fn plan(work: &Work, made: &Made) -> anyhow::Result<String> {
    let opened = InfraRepository::with(work.settings())?;
    let declaration = opened.working_tree()?;
    let mut comparison = opened.compared_with(&made.base, &declaration)?;
    work.branch().clone_into(&mut comparison.reference);
    let mut controller = controller(opened).await;
    let asked = progress::sweep(&mut controller, &declaration, Writes::Withheld, |target| {
        made.targets.contains(target)
    });
    Ok(match tokio::time::timeout(ASKED, asked).await {
        Ok(swept) => as_markdown(&declaration, &plans(&swept), Some(&comparison)),
        Err(_) => {
            let touched = comparison::for_a_pull_request(&comparison);
            format!("{touched}There is no plan: AWS gave no answer within {} s.\n", ASKED.as_secs())
        }
    })
}

/// What became of the branch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Published {
    Pushed,
    /// It makes the same change already: what people have said of it stays good.
    AsItWas,
}

/// The newest commit of a branch that was pushed before.
struct Tip {
    commit: String,
    subject: String,
    /// The edited file there, as git names its content.
    content: Option<String>,
}

fn publish(work: &Work, made: &Made, branch: &str, is_open: bool) -> anyhow::Result<Published> {
    let content = work.git().run(&["rev-parse", &format!("HEAD:{}", made.file)])?;
    for _ in 0..MOST_PUSHES {
        let there = tip(work, branch, &made.file)?;
        if let Some(there) = &there {
            ensure!(
                is_ours(&there.subject, &made.topic),
                "the branch {branch} has a commit of somebody else, {:?}; nothing was pushed\n  hint  merge or close its pull request, and delete the branch",
                line(&there.subject)
            );
            if is_open && there.content.as_ref() == Some(&content) {
                return Ok(Published::AsItWas);
            }
        }
        let expected = there.map(|there| there.commit).unwrap_or_default();
        let reference = format!("refs/heads/{branch}");
        let lease = format!("--force-with-lease={reference}:{expected}");
        let refspec = format!("HEAD:{reference}");
        let push = ["push", "--quiet", "--porcelain", &lease, "--", &work.remote(), &refspec];
        let output = work.git().output(&push)?;
        if output.status.success() {
            return Ok(Published::Pushed);
        }
        if commit_of(work, branch)?.unwrap_or_default() == expected {
            bail!("the branch {branch} cannot be pushed; nothing was changed: {}", complaint(&output));
        }
    }
    bail!("others pushed the branch {branch} again and again; nothing was pushed: try again")
}

/// By what its message begins with: somebody who has added to the branch loses nothing.
fn is_ours(subject: &str, topic: &str) -> bool {
    subject.strip_prefix(topic).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn commit_of(work: &Work, branch: &str) -> anyhow::Result<Option<String>> {
    let reference = format!("refs/heads/{branch}");
    let listed = work.git().run(&["ls-remote", "--quiet", "--", &work.remote(), &reference])?;
    let of_branch =
        listed.lines().filter_map(|line| line.split_once('\t')).find(|(_, name)| *name == reference);
    Ok(of_branch.map(|(commit, _)| commit.to_owned()))
}

fn tip(work: &Work, branch: &str, file: &str) -> anyhow::Result<Option<Tip>> {
    if commit_of(work, branch)?.is_none() {
        return Ok(None);
    }
    let git = work.git();
    let is_shallow = git.run(&["rev-parse", "--is-shallow-repository"])? == "true";
    let depth: &[&str] = if is_shallow { &["--depth=1"] } else { &[] };
    let (remote, reference) = (work.remote(), format!("refs/heads/{branch}"));
    git.run(&[&["fetch", "--quiet", "--no-tags"], depth, &["--", &remote, &reference]].concat())?;
    Ok(Some(Tip {
        commit: git.run(&["rev-parse", "FETCH_HEAD"])?,
        subject: git.run(&["log", "-1", "--format=%s", "FETCH_HEAD"])?,
        content: git.run(&["rev-parse", "--verify", "--quiet", &format!("FETCH_HEAD:{file}")]).ok(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_says_what_it_is_about_and_is_of_one_topic_one_base_and_one_folder() {
        let name = branch_name("promote test/api", "main", "");
        assert!(name.starts_with("trueup/promote-test-api-"), "{name}");
        let others = [
            branch_name("promote test-api/x", "main", ""),
            branch_name("promote test/api", "release", ""),
            branch_name("promote test/api", "main", "infra"),
            branch_name("promote test.api", "main", ""),
            branch_name("roll back test/api", "main", ""),
            branch_name(&format!("promote test/{}", "a".repeat(100)), "main", ""),
            branch_name(&format!("promote test/{}b", "a".repeat(100)), "main", ""),
            branch_name("suspend test", "main", ""),
            branch_name("promote ../..lock/a..b.lock", "main", ""),
        ];
        let apart: std::collections::BTreeSet<&String> = others.iter().chain([&name]).collect();
        assert_eq!(apart.len(), others.len() + 1);
        for name in apart {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
            assert!(name.chars().all(plain) && name.len() <= 80, "{name}");
            let digits = name.rsplit('-').next().unwrap();
            assert_eq!(digits.len(), DIGITS, "no commit, which has seven");
        }
        assert_eq!(name, branch_name("promote test/api", "main", ""));
    }

    #[test]
    fn a_commit_is_ours_by_its_whole_topic() {
        let topic = "promote test/api";
        for (subject, expected) in [
            ("promote test/api to bbbbbbb", true),
            ("promote test/api", true),
            ("promote test/api2 to bbbbbbb", false),
            ("roll back test/api to bbbbbbb", false),
            ("fix the memory of test/api", false),
            ("", false),
        ] {
            assert_eq!(is_ours(subject, topic), expected, "{subject}");
        }
    }
}
