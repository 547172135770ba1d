"""Saving presets: whole, in the right place, and never over what somebody wrote by hand unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import Tuner, tuner
from tui_tuner import paths
from tui_tuner.config import Experiment, experiment_from_text, find_preset, load_experiment
from tui_tuner.config.locate import comments
from tui_tuner.config.presets import preset_facts
from tui_tuner.config.saving import offer_name, own_presets, preset_path, save_preset, standing
from tui_tuner.errors import TunerError

__all__ = ["tuner"]

BASE = '[model]\npath = "m"\n[data]\nsource = "d"\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, the project's own presets out of sight."""
    (tmp_path / "work" / "presets").mkdir(parents=True)
    monkeypatch.setenv("TUI_TUNER_CONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(paths, "package_dir", lambda: tmp_path / "elsewhere" / "tui_tuner")
    return tmp_path / "work"


@pytest.fixture
def experiment() -> Experiment:
    return experiment_from_text(BASE + "[train]\niters = 7\n", "here")


def refused(experiment: Experiment, name: str, **options: object) -> TunerError:
    with pytest.raises(TunerError) as caught:
        save_preset(experiment, name, **options)  # type: ignore[arg-type]
    assert caught.value.usage
    return caught.value


def test_a_saved_preset_is_found_by_its_name_and_says_the_same(place: Path, experiment: Experiment) -> None:
    path = save_preset(experiment, "mine", title="My own", description="For ①\n  and\ttwo.")
    assert path == own_presets() / "mine.toml"
    found = find_preset("mine")
    assert (found.path, found.title) == (path, "My own")
    assert found.description.splitlines()[0] == "For ①"
    assert load_experiment(path) == experiment
    # Saved again with the header that it has: the same file, and no line of it twice.
    before = path.read_text()
    assert save_preset(experiment, "mine", title=found.title, description=found.description) == path
    assert path.read_text() == before
    assert not [each for each in path.parent.iterdir() if each != path]


def test_relative_paths_still_mean_what_they_meant(place: Path) -> None:
    (place / "d").mkdir()
    experiment = experiment_from_text(BASE, "here")
    path = save_preset(experiment, "mine", base=place)
    assert load_experiment(path).data.source == str(place / "d")
    assert experiment.data.source == "d"


def test_a_preset_written_by_hand_is_not_written_over_unasked(place: Path, experiment: Experiment) -> None:
    own_presets().mkdir(parents=True)
    path = own_presets() / "facts.toml"
    text = (
        f"# Facts\n# Why: we'll see # indeed\n{BASE}# a remark\n[train] # and one behind\n"
        "notes = 1\n[scale.tiny.train]\niters = 3\n[sweep]\n"
    ).replace("notes = 1\n", "")
    path.write_text(text)
    error = refused(experiment, "facts", title="Facts")
    assert error.code == "preset-exists"
    assert "3 lines of comments (the first is “Why: we'll see # indeed”)" in error.message
    assert "[scale.tiny], [sweep]" in error.message
    assert '"facts-2"' in error.fix
    assert path.read_text() == text
    assert save_preset(experiment, "facts", replace=True) == path
    assert load_experiment(path) == experiment


def test_what_was_saved_by_the_program_has_no_comments_to_lose_but_values(place: Path, experiment: Experiment) -> None:
    save_preset(experiment, "mine")
    other = experiment.model_copy(deep=True)
    other.train.iters = 8
    found = standing("mine")
    assert found is not None and not found.by_hand
    assert "its values would go" in refused(other, "mine").message
    path = preset_path("mine")
    path.write_text(path.read_text() + "# a thought\n")
    found = standing("mine")
    assert found is not None and found.comments == ("a thought",)


def test_a_file_that_cannot_be_read_as_a_preset_is_somebodys_all_the_same(place: Path, experiment: Experiment) -> None:
    own_presets().mkdir(parents=True)
    for content in (b"\xff\xfe", b"iters = [", b"# only\n[wrong]\nx = 1\n"):
        (own_presets() / "odd.toml").write_bytes(content)
        assert "was written by hand" in refused(experiment, "odd").message
        assert (own_presets() / "odd.toml").read_bytes() == content


def test_a_name_that_would_hide_another_folders_preset_is_asked_about(place: Path, experiment: Experiment) -> None:
    (place / "presets" / "theirs.toml").write_text(BASE)
    assert "which yours would hide" in refused(experiment, "theirs").message
    assert save_preset(experiment, "theirs", replace=True) == own_presets() / "theirs.toml"
    assert (place / "presets" / "theirs.toml").read_text() == BASE


@pytest.mark.parametrize("name", ["", "..", "a b", ".hidden", "-x", "ümlaut", "x" * 100, "a/b", "../up", "a\0.toml"])
def test_a_name_is_a_plain_file_name(name: str, place: Path, experiment: Experiment) -> None:
    assert refused(experiment, name).code == "bad-name"
    assert not own_presets().exists()


def test_a_path_is_taken_as_it_is(place: Path, experiment: Experiment) -> None:
    assert save_preset(experiment, "here.toml") == place / "here.toml"
    with pytest.raises(TunerError) as caught:
        save_preset(experiment, "not/there/x.toml")
    assert caught.value.code == "not-found"
    other = experiment.model_copy(deep=True)
    other.train.iters = 9
    assert str(place / "here-2.toml") in refused(other, "here.toml").fix


def test_a_name_never_leads_out_through_a_link(place: Path, experiment: Experiment) -> None:
    own_presets().mkdir(parents=True)
    outside = place / "outside.toml"
    (own_presets() / "link.toml").symlink_to(outside)
    assert refused(experiment, "link").code == "preset-exists"
    save_preset(experiment, "link", replace=True)
    assert not outside.exists()


def test_names_are_counted_on(place: Path, experiment: Experiment) -> None:
    assert offer_name("mine") == "mine"
    save_preset(experiment, "mine")
    assert offer_name("mine") == "mine-2"
    save_preset(experiment, "mine-2")
    assert (offer_name("mine"), offer_name("mine-2"), offer_name("phi-3")) == ("mine-3", "mine-3", "phi-3")
    save_preset(experiment, offer_name("x" * 90))
    assert offer_name("x" * 90) == f"{'x' * 58}-2"
    assert offer_name("a b") == "a-b"


def test_comments_are_told_from_text() -> None:
    text = "# one\na = \"no # comment\" # two\nb = '''\n# no\n''' ## three\n'#c' = 1 #\n"
    assert comments(text) == ["one", "two", "three", ""]


def test_facts_of_presets(place: Path) -> None:
    folder = place / "presets"
    (folder / "good.toml").write_text(f"# Good\n{BASE}[scale.tiny.train]\niters = 3\n[scale.big.train]\niters = 9\n")
    (folder / "bad.toml").write_text(f"{BASE}[train]\nitres = 3\n[scale.tiny.train]\niters = 3\n")
    (folder / "worse.toml").write_text(f"{BASE}[scale.tiny.train]\niters = -3\n")
    good, bad, worse = (preset_facts(find_preset(name)) for name in ("good", "bad", "worse"))
    assert (good.problem, good.scales, good.sweep) == ("", ("tiny", "big"), False)
    assert "did you mean train.iters" in bad.problem and bad.scales == ("tiny",)
    assert "train.iters is -3" in worse.problem
    assert good.changed > 0


def test_commands(place: Path, tuner: Tuner, tmp_path: Path) -> None:
    (place / "presets" / "one.toml").write_text(f"# One\n{BASE}[scale.tiny.train]\niters = 3\n")
    listed = tuner("presets", "--json").document
    assert [(each["name"], each["title"], each["scales"], each["problem"]) for each in listed] == [
        ("one", "One", ["tiny"], None)
    ]
    saved = tuner("save-preset", "two", "--from", "one", "--set", "scale=tiny", "--title", "Two", "--json").document
    assert saved["name"] == "two" and Path(saved["path"]).is_file()
    told = tuner("diff", "one", "two", "--json").document
    assert told["differences"] == [{"key": "train.iters", "a": "100", "b": "3"}]
    assert tuner("diff", "one", "two").out == "train.iters\n  - 100\n  + 3\n"
    assert tuner("diff", "one", "one").out == "no key differs\n"
    wrong = tuner("diff", "one", "tow")
    assert wrong.status == 2 and 'did you mean "two"?' in wrong.err
    again = tuner("save-preset", "two", "--from", "one")
    assert again.status == 2 and "--force" in again.err
    assert tuner("save-preset", "two", "--from", "one", "--force").status == 0
    assert "✗" not in tuner("presets").out and "(scale=tiny)" in tuner("presets").out


def test_saving_tells_which_tables_stay_behind(place: Path, tuner: Tuner) -> None:
    whole = f"# One\n{BASE}[scale.tiny.train]\niters = 3\n[scale.wide.train]\niters = 9\n[sweep.values]\n"
    (place / "presets" / "one.toml").write_text(f'{whole}"run.seed" = [1, 2]\n')
    told = tuner("save-preset", "two", "--from", "one")
    assert told.status == 0 and told.out.endswith("two.toml\n")
    assert "not in it: [scale.tiny], [scale.wide], [sweep] of " in told.err and "one.toml" in told.err
    document = tuner("save-preset", "three", "--from", "one", "--json").document
    assert document["left_out"] == ["scale.tiny", "scale.wide", "sweep"]
    assert tuner("save-preset", "four", "--from", "two", "--json").document["left_out"] == []
    assert "not in it" not in tuner("save-preset", "five", "--from", "two").err


def test_a_run_is_compared_and_saved_like_a_preset(place: Path, tuner: Tuner, tmp_path: Path) -> None:
    from tui_tuner.engine.new_run import create_run

    folder = create_run(experiment_from_text(BASE, "here"), tmp_path, "trial", place)
    assert tuner("save-preset", "kept", "--from", folder.name).status == 0
    assert tuner("diff", "kept", folder.name, "--json").document["differences"] == []
    assert tuner("diff", "kept", folder.path, "--set", "train.iters=3").out == "no key differs\n"
