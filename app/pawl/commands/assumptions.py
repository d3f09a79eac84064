"""What Pawl believes about GitHub and cannot see in its description: each belief, what rests on it, and its probe.

The local GitHub imitates all of this. `pawl conformance` tries it on a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pawl.commands import probe_git, probe_jobs, probe_pulls
from pawl.commands.probing import Ground


@dataclass(frozen=True)
class Assumption:
    """One belief."""

    id: str
    statement: str
    why: str
    """What rests on it, with the module."""
    source: str
    """Where GitHub says so, as far as it does: an operation of its OpenAPI description, or a page of its docs by title."""
    probe: Callable[[Ground], str]
    """Tries it; returns a detail worth keeping, or nothing. Raises `Failed` or `Skipped`."""


ASSUMPTIONS = (
    Assumption(
        "ref-exists",
        "Creating a ref that is there answers 422, with “already exists” in the message.",
        "An earlier request that had its effect is recognised instead of failing the step (`github/errors.py`).",
        "git/create-ref; the words are documented nowhere",
        probe_git.ref_exists,
    ),
    Assumption(
        "ref-unforced",
        "Moving a branch without force to a commit that does not contain it answers 422 with “not a fast forward”, and the "
        "branch stays.",
        "The merge is atomic on it (`github/merging.py`), and so is a verdict with its files, or a new segment of the "
        "ledger (`github/ledger_branch.py`).",
        "git/update-ref",
        probe_git.unforced_refuses,
    ),
    Assumption(
        "ref-forced",
        "With force the same move succeeds on an unprotected branch.",
        "An experiment gets a new base, or its final commit, on the branch it has (`github/merging.py`).",
        "git/update-ref",
        probe_git.forced_moves,
    ),
    Assumption(
        "ref-delete-twice",
        "Deleting a branch that is gone answers 404 or 422.",
        "Somebody was faster, and that is fine (`github/experiments.py`).",
        "git/delete-ref",
        probe_git.delete_twice,
    ),
    Assumption(
        "matching-refs",
        "Matching refs are those whose names begin with the text, whatever follows; none at all is an empty list, no 404.",
        "All branches of all loops are read by one request (`github/facet_refs.py`).",
        "git/list-matching-refs",
        probe_git.prefix_matches,
    ),
    Assumption(
        "own-namespace",
        "A ref below `refs/pawl/` can be created, listed and deleted by the API.",
        "The kill switch `refs/pawl/stop` lies there, where no clone fetches it (`github/facet_refs.py`).",
        "git/create-ref (names must begin with `refs` and have two slashes)",
        probe_git.own_namespace,
    ),
    Assumption(
        "orphan-branch",
        "A commit without parents can become a branch, and the branch then moves forward like any other.",
        "The ledger shares no history with the code (`github/ledger_branch.py`).",
        "git/create-commit, git/create-tree",
        probe_git.orphan_branch,
    ),
    Assumption(
        "tree-base",
        "A tree made with `base_tree` and one entry differs from its base in that entry alone.",
        "The tree of a keep is the measured tree by construction (`github/merging.py`).",
        "git/create-tree",
        probe_git.tree_keeps_rest,
    ),
    Assumption(
        "blob-name",
        "A blob's name is git's own, and its bytes come back unchanged.",
        "Pawl computes the name itself and asks for no object twice (`github/objects.py`).",
        "git/create-blob, git/get-blob",
        probe_git.blob_name,
    ),
    Assumption(
        "commit-as-written",
        "A commit made by the API has exactly the message and the parents that were asked for.",
        "What an edit is about stands in its commit message, and a final commit is recognised by it (`github/merging.py`).",
        "git/create-commit",
        probe_git.commit_as_written,
    ),
    Assumption(
        "contents-put",
        "Putting a file on a branch makes one commit on its tip and tells it whole; with a name of the content that has "
        "passed it answers 409.",
        "An experiment's edit is made this way (`github/experiments.py`), and so is a line of the ledger that comes alone: "
        "where another one came first, it is refused (`github/ledger_branch.py`).",
        "repos/create-or-update-file-contents",
        probe_git.contents_commit,
    ),
    Assumption(
        "branch-told",
        "One answer tells a branch's tip with its tree, its parents and its message, and whether the branch is protected.",
        "A look at a loop begins with it (`github/facet_refs.py`).",
        "repos/get-branch",
        probe_git.branch_told,
    ),
    Assumption(
        "commits-verified",
        "Commits that the App makes with no author given, through the contents API or as git objects, are signed by GitHub.",
        "Branches that require signed commits accept a keep's final commit, which is made as an object. Nothing else rests "
        "on it (`github/merging.py`).",
        "About commit signature verification: signature verification for bots",
        probe_git.verified,
    ),
    Assumption(
        "missing-404",
        "What is not there answers 404.",
        "A missing branch, configuration or workflow is told to a person, and is no outage (`github/observe.py`).",
        "Troubleshooting the REST API",
        probe_git.missing_is_404,
    ),
    Assumption(
        "forbidden-403",
        "An operation for which the App lacks a permission answers 403 on a repository that it can see.",
        "The reader is told to accept a permission, and not that the repository is gone (`github/errors.py`).",
        "Troubleshooting the REST API: resource not accessible",
        probe_git.not_permitted,
    ),
    Assumption(
        "limits-told",
        "Answers carry `X-RateLimit-Remaining` and `X-RateLimit-Reset`, whole numbers.",
        "A loop that meets the limit is looked at again when it is over, and not before (`github/client.py`).",
        "Rate limits for the REST API",
        probe_git.limits_told,
    ),
    Assumption(
        "merged-by-ref",
        "A pull request whose head reaches its base by a plain move of the base counts as merged, and its merge commit is "
        "its head.",
        "Keeps are merged by moving the branch; the outcome is read from the pull request (`github/merging.py`).",
        "About pull request merges: indirect merges",
        probe_pulls.merged_by_ref,
    ),
    Assumption(
        "pull-follows-head",
        "A pull request whose branch is forced elsewhere stays open and follows.",
        "One experiment keeps its pull request over all its attempts (`github/merging.py`).",
        "git/update-ref, pulls/get",
        probe_pulls.follows_head,
    ),
    Assumption(
        "pull-closed-with-branch",
        "Deleting the branch of an open pull request closes it unmerged.",
        "Branches are deleted only once a merge has been noticed (`github/merging.py`).",
        "Deleting and restoring branches in a pull request",
        probe_pulls.closed_with_branch,
    ),
    Assumption(
        "pull-close-labels",
        "Changing a pull request's issue closes it and sets its labels at once, creates a label that is new, and the issue "
        "then names who closed it.",
        "An experiment is ended by one request (`github/experiments.py`), and a person's close is told from Pawl's "
        "(`github/facet_pulls.py`).",
        "issues/update",
        probe_pulls.closed_and_labelled,
    ),
    Assumption(
        "pull-exists",
        "Opening a second pull request between the same branches answers 422, with “already exists” in an error.",
        "A pull request whose opening was cut off is found again (`github/experiments.py`).",
        "pulls/create; the words are documented nowhere",
        probe_pulls.opened_twice,
    ),
    Assumption(
        "merge-guarded",
        "Merging with `sha` answers 409 if the head is another, and else makes a commit of base and head.",
        "Where the App may not move the branch, what is merged is still what was measured (`github/merging.py`).",
        "pulls/merge",
        probe_pulls.merge_guarded,
    ),
    Assumption(
        "label-exists",
        "Creating a label that is there, in whatever case, answers 422 with `already_exists`.",
        "Labels that people have changed stay as they want them (`github/tracking.py`).",
        "issues/create-label",
        probe_pulls.label_exists,
    ),
    Assumption(
        "comment-edited",
        "A comment can be edited under its id, keeps an HTML comment on its first line, and is listed as `slug[bot]`'s; "
        "lists are paged by the Link header.",
        "An experiment has one comment, found by its marker and its author (`github/comments.py`, `github/client.py`).",
        "issues/update-comment, issues/list-comments",
        probe_pulls.comment_edited,
    ),
    Assumption(
        "pulls-are-issues",
        "The list of issues holds pull requests too, each with the key `pull_request`.",
        "A pull request that somebody labelled as a tracking issue is not taken for one (`github/facet_people.py`).",
        "issues/list-for-repo",
        probe_pulls.pulls_are_issues,
    ),
    Assumption(
        "check-kept",
        "A check run keeps its `external_id`, its App and the exact `output.text`, in the commit's list too.",
        "The check run is the state of an attempt, and holds its request (`github/checks.py`, `github/facts.py`).",
        "checks/create, checks/update, checks/list-for-ref",
        probe_pulls.check_kept,
    ),
    Assumption(
        "checks-all",
        "With `filter=all` a commit's list holds every check run of the same name.",
        "Earlier attempts on a head are seen (`github/facet_checks.py`).",
        "checks/list-for-ref",
        probe_pulls.checks_all_listed,
    ),
    Assumption(
        "dispatch-told",
        "A dispatch with `return_run_details` answers with the job's id; the job's title is what `run-name` makes of the "
        "inputs; it is listed with its event and the branch of its workflow.",
        "A job is tied to its attempt without guessing, and one from another branch is ignored (`github/jobs.py`, "
        "`github/facts.py`).",
        "actions/create-workflow-dispatch, actions/list-workflow-runs",
        probe_jobs.dispatch_told,
    ),
    Assumption(
        "job-cancelled",
        "A job can be cancelled while it waits or runs; once it has ended that answers 409 or 422.",
        "Closing an experiment, or the kill switch, frees the runner (`github/jobs.py`).",
        "actions/cancel-workflow-run",
        probe_jobs.cancelled,
    ),
    Assumption(
        "skip-ci",
        "A head commit with `[skip ci]` starts no workflow on `push` or `pull_request`.",
        "Candidates do not run in the repository's own workflows (`messages/commits.py`).",
        "Skipping workflow runs",
        probe_jobs.skip_ci,
    ),
    Assumption(
        "artifact-elsewhere",
        "The zip of an artifact is a redirect, and what it names is read without our token; a job's artifacts can be asked "
        "for by name.",
        "The record is fetched without handing the token to another host (`github/client.py`, `github/artifacts.py`).",
        "actions/download-artifact, actions/list-workflow-run-artifacts",
        probe_jobs.artifact_elsewhere,
    ),
    Assumption(
        "artifacts-early",
        "Artifacts of a workflow run are listed while the run goes on, as soon as the job that uploaded them has ended.",
        "Without a server, the job that concludes reads the record of its own run (`commands/action_step.py`, "
        "`github/artifacts.py`).",
        "actions/list-workflow-run-artifacts says nothing of the run's state",
        probe_jobs.artifacts_early,
    ),
    Assumption(
        "queue-max",
        "In a concurrency group with `queue: max` every job waits its turn; none takes the place of another one that waits.",
        "Steps of one repository follow each other, and none is lost (`messages/scaffold.py`).",
        "Control the concurrency of workflows and jobs",
        probe_jobs.all_wait,
    ),
    Assumption(
        "narrow-token",
        "A token that was asked for one repository sees that one alone.",
        "A fault in one repository's loop reaches no other (`github/app.py`).",
        "apps/create-installation-access-token",
        probe_jobs.narrow_token,
    ),
    Assumption(
        "redelivery-id",
        "A webhook that is sent again has the delivery id of the first.",
        "A delivery that was seen is not taken twice (`control/database.py`).",
        "Best practices for using webhooks",
        probe_jobs.redelivered,
    ),
)

_HEAD = """\
# What Pawl assumes about GitHub

Pawl is developed against a GitHub that fits in one process (`pawl hub`). Its requests and answers are held against
GitHub's own OpenAPI description in the tests, but a description tells shapes, not behaviour. What follows is the
behaviour that Pawl rests on and the local GitHub imitates. `pawl conformance --repo OWNER/NAME` tries each of these on a
real repository:

- It signs in as the App (`PAWL_APP_ID`, `PAWL_PRIVATE_KEY_FILE`) or with `GITHUB_TOKEN`. What needs an App, an artifact or a
  workflow is skipped where there is none, and the reason is told.
- It works on branches below `pawl/conformance/` that it makes itself, and deletes them afterwards. Your default branch is
  only read. About a dozen pull requests between those branches stay behind, closed; GitHub deletes no pull request.
- Where `.github/workflows/pawl.yml` is on the default branch, it starts two jobs that measure nothing, and cancels them.
- It takes two to five minutes, for it waits a second between writes, as GitHub asks.
- Exit code 1 means that an assumption failed. The transcript (`conformance.json`) holds every request and answer without
  secrets: please attach it to an issue.

This page is made from `app/pawl/commands/assumptions.py`.
"""


def page() -> str:
    """``docs/github-assumptions.md``."""
    parts = [_HEAD]
    for item in ASSUMPTIONS:
        parts.append(
            f"## `{item.id}`\n\n{item.statement}\n\n- *Rests on it:* {item.why}\n- *Source:* {item.source}\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
