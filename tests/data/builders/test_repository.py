"""Clones of every kind are read, with the same result whatever their place and settings; others end in one line."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from git_history import Commit, make_repository, run_git
from people_history import PEOPLE, read_questions, write_history, write_message

from rpobench.data.builders.build import BuildOptions, build
from rpobench.types import RpobenchError


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of twenty people, one of them under two names that its mailmap joins."""
    mailmap = "Ada Byron <ada@x.org> The Countess <ada@castle.org>\n"
    commits = write_history([*PEOPLE, "Ada Byron <ada@x.org>"])
    commits += [
        Commit(write_message(f"countess{letter}"), "The Countess <ada@castle.org>", day=20) for letter in "abcd"
    ]
    return make_repository(tmp_path / "clone", [*commits, Commit("add a mailmap", files={".mailmap": mailmap})])


def build_bytes(repository: Path | str, out: Path) -> dict[str, str]:
    """The hash of every file that is built, by path."""
    build("git-log", [str(repository)], out, BuildOptions())

    files = sorted(file for file in out.rglob("*") if file.is_file() and ".locks" not in file.parts)
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_mailmap_joins_two_names(clone: Path, tmp_path: Path) -> None:
    build_bytes(clone, tmp_path / "data")

    assert len({question["user_id"] for question in read_questions(tmp_path / "data")}) == 21


def test_another_clone_gives_the_same_bytes(clone: Path, tmp_path: Path) -> None:
    expected = build_bytes(clone, tmp_path / "data")

    run_git(tmp_path, "clone", "-q", "--bare", str(clone), "elsewhere.git")
    run_git(tmp_path / "elsewhere.git", "repack", "-adq")
    run_git(clone, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    for number, folder in enumerate(["elsewhere.git", "tree"]):
        assert build_bytes(tmp_path / folder, tmp_path / f"data-{number}") == expected
    assert len(expected) == 7 and str(tmp_path) not in (tmp_path / "data" / "manifest.json").read_text()


def test_settings_home_time_zone_and_locale_change_nothing(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = build_bytes(clone, tmp_path / "data")

    home = tmp_path / "home"
    home.mkdir()
    (home / "map").write_text("Nobody <nobody@x.org> <ada@x.org>\n")
    settings = "[log]\nshowSignature = true\nmailmap = false\ndate = relative\n"
    settings += f"[mailmap]\nfile = {home / 'map'}\n[i18n]\nlogOutputEncoding = latin-1\n[format]\npretty = oneline\n"
    (home / ".gitconfig").write_text(settings)
    (clone / ".git" / "config").open("a").write(f"{settings}[core]\nworktree = {clone}\n")
    (clone / ".mailmap").write_text("Somebody <somebody@x.org> <ada@x.org>\n")
    first, second = run_git(clone, "rev-list", "HEAD").split()[:2]
    run_git(clone, "replace", first, second)
    for name, value in {"HOME": str(home), "TZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8", "GIT_DIR": "/nowhere"}.items():
        monkeypatch.setenv(name, value)

    assert build_bytes(clone, tmp_path / "again") == expected


def test_signatures_are_not_checked(clone: Path, tmp_path: Path) -> None:
    content = subprocess.run(
        ["git", "-C", str(clone), "cat-file", "-p", "HEAD"], capture_output=True, check=True
    ).stdout
    head = content.partition(b"\n\n")[0].decode()
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n xyz\n -----END PGP SIGNATURE-----"
    signed = f"{head}\n{signature}\n\n{write_message('signed')}".encode()
    command = ["git", "-C", str(clone), "hash-object", "-t", "commit", "-w", "--stdin"]
    commit = subprocess.run(command, input=signed, capture_output=True, check=True).stdout.decode().strip()
    run_git(clone, "reset", "-q", "--hard", commit)
    expected = build_bytes(clone, tmp_path / "data")

    program = tmp_path / "gpg"
    program.write_text("#!/bin/sh\necho somebody signed this >&2\n")
    program.chmod(0o755)
    run_git(clone, "config", "gpg.program", str(program))
    run_git(clone, "config", "log.showSignature", "true")

    assert build_bytes(clone, tmp_path / "again") == expected


def test_the_checked_out_commit_is_read(clone: Path, tmp_path: Path) -> None:
    expected = build_bytes(clone, tmp_path / "data")
    commit = run_git(clone, "rev-parse", "HEAD")

    subprocess.run(["git", "-C", str(clone), "commit", "-q", "--allow-empty", "-m", "later"], check=True, env=IDENTITY)
    assert build_bytes(clone, tmp_path / "later") != expected

    run_git(clone, "checkout", "-q", commit)
    assert build_bytes(clone, tmp_path / "again") == expected
    assert commit in (tmp_path / "again" / "manifest.json").read_text()


IDENTITY = os.environ | dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Bo")
IDENTITY |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "bo@x.org")


def test_shared_history_of_two_clones_counts_once(clone: Path, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "-q", str(clone), "fork")
    twice = build("git-log", [str(clone), str(tmp_path / "fork")], tmp_path / "data", BuildOptions())
    once = build("git-log", [str(clone)], tmp_path / "once", BuildOptions())

    assert twice.counts == once.counts


def test_the_order_of_clones_changes_nothing(clone: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other", write_history(["Zed Zulu <zed@x.org>"]))
    build("git-log", [f"main={clone}", f"other={other}"], tmp_path / "data", BuildOptions())
    build("git-log", [f"other={other}", f"main={clone}"], tmp_path / "turned", BuildOptions())

    for file in (tmp_path / "data").rglob("*.json"):
        assert file.read_bytes() == (tmp_path / "turned" / file.relative_to(tmp_path / "data")).read_bytes()


def expect_refusal(repository: Path | str, tmp_path: Path, message: str) -> None:
    with pytest.raises(RpobenchError, match=message) as fault:
        build("git-log", [str(repository)], tmp_path / "data", BuildOptions())

    assert "\n" not in str(fault.value) and not (tmp_path / "data").exists()


def test_a_shallow_clone_is_refused(clone: Path, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "-q", "--depth", "3", f"file://{clone}", "shallow")

    expect_refusal(tmp_path / "shallow", tmp_path, "is a shallow clone, .* run `git fetch --unshallow`")


def test_what_is_no_repository_is_refused(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "file").write_text("")
    (clone / "inside").mkdir()
    make_repository(tmp_path / "empty", [])

    expect_refusal(tmp_path / "absent", tmp_path, "absent: no such folder")
    expect_refusal(tmp_path / "plain", tmp_path, "plain: no git repository: give a clone")
    expect_refusal(tmp_path / "file", tmp_path, "file: is a file: give the folder")
    expect_refusal(tmp_path / "empty", tmp_path, "empty: no commit is checked out there")
    expect_refusal(clone / "inside", tmp_path, "inside: is a folder inside a repository")


def test_a_damaged_repository_is_refused_by_git(clone: Path, tmp_path: Path) -> None:
    run_git(clone, "repack", "-adq")
    for pack in (clone / ".git" / "objects" / "pack").glob("*"):
        if pack.suffix == ".pack":
            pack.chmod(0o644)
            pack.write_bytes(pack.read_bytes()[: pack.stat().st_size // 2])

    expect_refusal(clone, tmp_path, f"--repo {re.escape(str(clone))}: ")


def test_where_nobody_has_enough_the_counts_say_why(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "clone", [*write_history(PEOPLE[:3], each=2), Commit("no body")])

    message = "nobody has 10 usable writings for LaMP-6: lower --least or add a --repo; "
    expect_refusal(repository, tmp_path, f"{message}left out: by people who have fewer than 10 6, texts too short 1")


def test_git_must_be_installed(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    expect_refusal(clone, tmp_path, "git: is not installed")
