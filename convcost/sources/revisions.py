"""Git revisions: found, and checked out into a worktree that goes away again."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from convcost.errors import ConvcostError

# no hook of the user's runs for a tree of ours
_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")
_OF_A_REPOSITORY = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}
"""What a hook's environment says of the user's repository; the rest is the user's own wish."""
_SUBMODULE = "160000 commit "
_BRANCH = re.compile(r"[\w./-]+")


def find_repository(folder: Path) -> Path:
    """The root of the working tree that ``folder`` is in.

    Raises:
        ConvcostError: it isn't in a git repository, or there is no git.
    """
    return Path(_git(folder, "rev-parse", "--show-toplevel").rstrip("\n")).resolve()


def tree_of(folder: Path) -> Path:
    """The root of the working tree that ``folder`` is in; the folder where it is in none."""
    trees = (place for place in (folder, *folder.parents) if (place / ".git").exists())
    return next(trees, folder)


def code_folders(folder: Path, root: Path) -> list[Path]:
    """Where a tree's own modules are imported from: what all commands look through, in turn."""
    return [folder, folder / "src", root, root / "src"]


def find_revision(root: Path, revision: str) -> str:
    """The hash of the commit that a revision names.

    Raises:
        ConvcostError: there is no such revision.
    """
    try:
        found = _git(
            root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
    except ConvcostError:
        message = f"{root}: there is no revision {revision!r}"
        raise ConvcostError(message, _how_to_get(root, revision)) from None
    return found.strip()


def _how_to_get(root: Path, revision: str) -> str:
    is_shallow = _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"
    remote, _, branch = revision.partition("/")
    if _BRANCH.fullmatch(branch) and remote in _git(root, "remote").split():
        depth = " --depth=1" if is_shallow else ""
        return f"git fetch{depth} {remote} +refs/heads/{branch}:refs/remotes/{revision}"
    if is_shallow:
        return "a shallow clone has only its newest: git fetch --unshallow"
    return "git branch --all and git tag list what there is"


def python_packages(root: Path) -> list[str]:
    """The names of the top-level packages that a tree's own files make, in whatever folder."""
    listed = _git(
        root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*__init__.py"
    )
    folders = {Path(file).parent for file in listed.split("\0") if file}
    return sorted({f.name for f in folders if f.parent not in folders and f.name})


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Path]:
    """A worktree of a commit, in a temporary folder; it is gone afterwards, whatever happens.

    Raises:
        ConvcostError: git can't make it.
    """
    folder = Path(tempfile.mkdtemp(prefix="convcost-")).resolve()
    try:
        with _worktree(root, commit, folder / root.name) as tree:
            yield tree
    finally:
        with _uninterrupted():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _worktree(root: Path, commit: str, tree: Path) -> Iterator[Path]:
    """A worktree with those of its submodules that the user's tree has."""
    try:
        _git(root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        with ExitStack() as submodules:
            for path, its_commit in _submodules(root, commit):
                submodules.enter_context(_worktree(root / path, its_commit, tree / path))
            yield tree
    finally:
        with _uninterrupted():
            with suppress(ConvcostError):
                _git(root, "worktree", "remove", "--force", "--force", str(tree))
            shutil.rmtree(tree, ignore_errors=True)
            with suppress(ConvcostError):
                _git(root, "worktree", "prune")


def _submodules(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """The submodules of a commit that the user's tree has, each with its own commit.

    Raises:
        ConvcostError: one lacks that commit.
    """
    entries = _git(root, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    for entry in entries:
        kind, _, path = entry.partition("\t")
        if not kind.startswith(_SUBMODULE) or not (root / path / ".git").exists():
            continue
        its_commit = kind.removeprefix(_SUBMODULE)
        try:
            _git(root / path, "cat-file", "-e", f"{its_commit}^{{commit}}")
        except ConvcostError:
            raise ConvcostError(
                f"{root / path}: the submodule hasn't got commit {its_commit}",
                f"git -C {shlex.quote(path)} fetch origin {its_commit}",
            ) from None
        yield path, its_commit


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Lets no second Ctrl-C leave half of the work."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread: no signal comes here
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _git(folder: Path, *arguments: str) -> str:
    """What git says of ``folder``, whatever repository a hook's environment points at.

    Raises:
        ConvcostError: git says no, or isn't there.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _OF_A_REPOSITORY}
    try:
        done = subprocess.run(  # noqa: S603  git, with arguments that are no shell's
            [*_GIT, *arguments],
            cwd=folder,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        if not folder.is_dir():
            raise ConvcostError(f"{folder}: no such folder") from None
        raise ConvcostError("git isn't installed, or not on the path") from None
    if done.returncode:
        raise _refused(folder, os.fsdecode(done.stderr))
    # what names no file is ASCII; a file's name may be any bytes
    return os.fsdecode(done.stdout)


def _refused(folder: Path, said: str) -> ConvcostError:
    """Git's reason, and what it says after that: what to do."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["git failed"]
    fatal = [index for index, line in enumerate(lines) if line.startswith("fatal: ")]
    first = fatal[0] if fatal else len(lines) - 1
    reason, *advice = lines[first:]
    return ConvcostError(f"{folder}: {reason.removeprefix('fatal: ')}", " ".join(advice))
