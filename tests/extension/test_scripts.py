"""Pre- and post-scripts on real files, owners, modes and processes: the right code for each way to fail."""

import ast
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overwinter.extension import script_config, scripts
from overwinter.extension.scripts import Plan, ScriptCode, ScriptProblem, read_plan, run_post, run_pre
from testkit.waiting import wait_until

NOBODY = 65534


def never() -> bool:
    """Nobody stops the script."""
    return False


class Scene:
    """A directory like /etc/azure with two scripts that leave their mark."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lines: list[str] = []
        self.marks = directory / "marks"
        self.pre = self.script("pre.sh", f'echo "pre $*" >>{self.marks}')
        self.post = self.script("post.sh", f'echo "post $*" >>{self.marks}')
        self.document: dict[str, Any] = {
            "pluginName": "ScriptRunner",
            "preScriptLocation": str(self.pre),
            "postScriptLocation": str(self.post),
        }
        self.configure()

    def script(self, name: str, text: str, mode: int = 0o700) -> Path:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(mode)
        return path

    def configure(self, **changes: object) -> None:
        self.document.update(changes)
        self.write_json(json.dumps(self.document))

    def write_json(self, text: str, mode: int = 0o600) -> Path:
        path = self.directory / "VMSnapshotScriptPluginConfig.json"
        path.write_text(text)
        path.chmod(mode)
        return path

    def write_host(self, text: str, mode: int = 0o644) -> Path:
        path = self.directory / "VMSnapshotPluginHost.conf"
        path.write_text(text)
        path.chmod(mode)
        return path

    def plan(self) -> Plan:
        plan = read_plan(str(self.directory))
        assert plan is not None
        return plan

    def problem(self, act: Callable[[], object]) -> ScriptProblem:
        with pytest.raises(ScriptProblem) as caught:
            act()
        return caught.value

    def reading(self) -> ScriptCode:
        return self.problem(lambda: read_plan(str(self.directory))).code

    def pre_problem(self) -> ScriptProblem:
        return self.problem(lambda: run_pre(self.plan(), self.lines.append, never))

    def post_problem(self) -> ScriptProblem:
        return self.problem(lambda: run_post(self.plan(), self.lines.append))

    def marked(self) -> list[str]:
        return self.marks.read_text().splitlines() if self.marks.exists() else []


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_nothing_is_configured(tmp_path: Path) -> None:
    assert read_plan(str(tmp_path)) is None
    assert read_plan(str(tmp_path / "missing")) is None


def test_defaults(scene: Scene) -> None:
    plan = scene.plan()
    assert (plan.timeout_s, plan.total_s, plan.pre.retries, plan.post.arguments) == (10, 1800, 0, ())
    assert plan.continue_on_failure
    assert plan.freeze


def test_both_run_with_their_parameters(scene: Scene) -> None:
    scene.configure(preScriptParams=["a b", "$HOME", ""], postScriptParams=["--now"])
    run_pre(scene.plan(), scene.lines.append, never)
    run_post(scene.plan(), scene.lines.append)
    assert scene.marked() == ["pre a b $HOME ", "post --now"]
    assert ["succeeded" in line for line in scene.lines] == [True, True]


def test_a_script_without_interpreter_is_run_by_the_shell(scene: Scene) -> None:
    scene.pre.write_text(f"echo plain >>{scene.marks}")
    run_pre(scene.plan(), scene.lines.append, never)
    assert scene.marked() == ["plain"]


def test_a_script_may_be_of_any_language(scene: Scene) -> None:
    scene.pre.write_text(f"#!{sys.executable}\nopen({str(scene.marks)!r}, 'w').write('python')\n")
    run_pre(scene.plan(), scene.lines.append, never)
    assert scene.marked() == ["python"]


def test_what_the_caller_has_around_it_does_not_reach_a_script(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    scene.script("pre.sh", f'echo "[$PYTHONPATH] $PWD" >>{scene.marks}; cat >>{scene.marks}')
    run_pre(scene.plan(), scene.lines.append, never)
    assert scene.marked() == ["[] /"]


# --- the files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o601, 0o700, 0o620])
def test_mode_of_the_configuration(scene: Scene, mode: int) -> None:
    scene.write_json(json.dumps(scene.document), mode)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_PERMISSION


def test_owner_of_the_configuration(scene: Scene) -> None:
    os.chown(scene.directory / script_config.SCRIPT_FILE, NOBODY, 0)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_OWNER


def test_the_configuration_is_a_link(scene: Scene) -> None:
    path = scene.directory / script_config.SCRIPT_FILE
    path.rename(scene.directory / "elsewhere")
    path.symlink_to("elsewhere")
    assert scene.reading() is ScriptCode.SCRIPT_FILE_PERMISSION


def test_the_configuration_is_a_pipe(scene: Scene) -> None:
    path = scene.directory / script_config.SCRIPT_FILE
    path.unlink()
    os.mkfifo(path, 0o600)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_PERMISSION


def test_others_can_write_to_the_directory(scene: Scene) -> None:
    scene.directory.chmod(0o777)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_PERMISSION
    scene.directory.chmod(0o1777)  # as in /tmp nobody can remove what is root's
    assert scene.plan()
    os.chown(scene.directory, NOBODY, 0)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_OWNER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '"text"',
        "\ufeff",
        "[" * 60_000,
        '{"a": "' + "x" * script_config.MOST_BYTES + '"}',
        "{}",
    ],
    ids=lambda text: text[:8],
)
def test_invalid_json(scene: Scene, text: str) -> None:
    scene.write_json(text)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_INVALID


def test_bytes_that_are_no_text(scene: Scene) -> None:
    (scene.directory / script_config.SCRIPT_FILE).write_bytes(b'{"pluginName": "\xff"}')
    assert scene.reading() is ScriptCode.SCRIPT_FILE_INVALID


@pytest.mark.parametrize(
    "change",
    [
        {"preScriptLocation": "relative.sh"},
        {"postScriptLocation": None},
        {"postScriptLocation": 7},
        {"preScriptParams": "-x"},
        {"preScriptParams": [1]},
        {"preScriptParams": ["a\0b"]},
        {"preScriptNoOfRetries": -1},
        {"preScriptNoOfRetries": "2"},
        {"postScriptNoOfRetries": True},
        {"timeoutInSeconds": 0},
        {"timeoutInSeconds": 1.5},
        {"continueBackupOnFailure": "true"},
        {"fsFreezeEnabled": 1},
        {"ScriptsExecutionPollTimeSeconds": 6},
        {"ScriptsExecutionPollTimeSeconds": 0},
        {"pluginName": None},
    ],
    ids=str,
)
def test_wrong_values(scene: Scene, change: dict[str, object]) -> None:
    scene.configure(**change)
    assert scene.reading() is ScriptCode.SCRIPT_FILE_INVALID


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = [
    "pluginName",
    "preScriptLocation",
    "preScriptParams",
    "preScriptNoOfRetries",
    "timeoutInSeconds",
    "continueBackupOnFailure",
]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_any_document_is_a_plan_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object]
) -> None:
    directory = tmp_path_factory.getbasetemp() / "any"
    directory.mkdir(exist_ok=True)
    scene = Scene(directory)
    scene.configure(**changes)
    try:
        plan = scene.plan()
    except ScriptProblem as problem:
        assert problem.code is ScriptCode.SCRIPT_FILE_INVALID
    else:
        assert 1 <= plan.timeout_s <= plan.total_s == script_config.MOST_SECONDS
        assert plan.pre.path.is_absolute()


def test_without_a_freeze_a_failure_fails_the_backup(scene: Scene) -> None:
    scene.configure(fsFreezeEnabled=False, continueBackupOnFailure=True)
    assert not scene.plan().freeze
    assert not scene.plan().continue_on_failure


# --- the host file ----------------------------------------------------------------------------------------


def host(scene: Scene, *lines: str) -> str:
    return "\n".join(["[pre_post]", "numberOfPlugins = 1", "pluginName0 = ScriptRunner", *lines])


def test_the_host_file_bounds_and_moves(scene: Scene) -> None:
    (scene.directory / script_config.SCRIPT_FILE).rename(scene.directory / "other.json")
    path = f"pluginConfigPath0 = {scene.directory}/other.json"
    scene.write_host(host(scene, "timeoutInSeconds = 7", path, "pluginPath0 = /etc/azure"))
    assert (scene.plan().timeout_s, scene.plan().total_s) == (7, 7)


def test_the_host_file_cannot_raise_the_limit(scene: Scene) -> None:
    scene.write_host(host(scene, "timeoutInSeconds = 99999"))
    scene.configure(timeoutInSeconds=5000)
    assert scene.plan().timeout_s == 1800


def test_the_host_file_names_a_file_that_is_missing(scene: Scene) -> None:
    scene.write_host(host(scene, "pluginConfigPath0 = /nowhere/at/all.json"))
    assert scene.reading() is ScriptCode.SCRIPT_FILE_NOT_FOUND


def test_a_host_file_alone_configures_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (scene.directory / script_config.SCRIPT_FILE).unlink()
    scene.write_host(host(scene))
    assert read_plan(str(tmp_path)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "timeoutInSeconds = 5",
        "[other]",
        "[pre_post]\ntimeoutInSeconds = soon",
        "[pre_post]\ntimeoutInSeconds = 0",
        "[pre_post]\nnumberOfPlugins = 2",
        "[pre_post]\npluginName0 = Mine",
        "[pre_post]\npluginConfigPath0 = here.json",
        "[pre_post]\n[pre_post]",
    ],
)
def test_invalid_host_files(scene: Scene, text: str) -> None:
    scene.write_host(text)
    assert scene.reading() is ScriptCode.HOST_FILE_INVALID


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o755])
def test_mode_of_the_host_file(scene: Scene, mode: int) -> None:
    scene.write_host(host(scene), mode)
    assert scene.reading() is ScriptCode.HOST_FILE_PERMISSION


def test_owner_of_the_host_file(scene: Scene) -> None:
    os.chown(scene.write_host(host(scene)), NOBODY, 0)
    assert scene.reading() is ScriptCode.HOST_FILE_OWNER


# --- the scripts ------------------------------------------------------------------------------------------


def test_a_missing_pre_script(scene: Scene) -> None:
    scene.pre.unlink()
    problem = scene.pre_problem()
    assert (problem.code, problem.started) == (ScriptCode.PRE_NOT_FOUND, False)


def test_without_a_post_script_the_pre_script_does_not_run(scene: Scene) -> None:
    scene.post.unlink()
    problem = scene.pre_problem()
    assert (problem.code, problem.started) == (ScriptCode.POST_NOT_FOUND, False)
    assert scene.marked() == []
    assert scene.post_problem().code is ScriptCode.POST_NOT_FOUND


def _group_may_read(path: Path) -> None:
    path.chmod(0o740)


def _other_owner(path: Path) -> None:
    os.chown(path, NOBODY, 0)


def _link(path: Path) -> None:
    moved = path.with_suffix(".moved")
    path.rename(moved)
    path.symlink_to(moved)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


@pytest.mark.parametrize("spoil", [_group_may_read, _other_owner, _link, _directory])
def test_scripts_that_others_could_have_written_do_not_run(
    scene: Scene, spoil: Callable[[Path], None]
) -> None:
    spoil(scene.post)
    assert scene.pre_problem().code is ScriptCode.POST_PERMISSION
    assert scene.post_problem().code is ScriptCode.POST_PERMISSION
    spoil(scene.pre)
    scene.configure(postScriptLocation=str(scene.script("sound.sh", "true")))
    assert scene.pre_problem().code is ScriptCode.PRE_PERMISSION
    assert scene.marked() == []


def test_a_script_behind_a_linked_directory_that_others_can_write_to(scene: Scene) -> None:
    outside = scene.directory / "outside"
    outside.mkdir()
    (scene.directory / "inside").symlink_to(outside)
    scene.pre.rename(outside / "pre.sh")
    scene.configure(preScriptLocation=str(scene.directory / "inside" / "pre.sh"))
    run_pre(scene.plan(), scene.lines.append, never)
    outside.chmod(0o777)
    assert scene.pre_problem().code is ScriptCode.PRE_PERMISSION
    assert scene.marked() == ["pre "]


def test_a_failing_script(scene: Scene) -> None:
    scene.script("pre.sh", f"echo tried >>{scene.marks}; echo no space >&2; exit 3")
    problem = scene.pre_problem()
    assert (problem.code, problem.started) == (ScriptCode.PRE_FAILED, True)
    assert "exit code 3; it printed: no space" in problem.message
    assert scene.marked() == ["tried"]


def test_a_failing_post_script(scene: Scene) -> None:
    scene.script("post.sh", "kill -9 $$")
    assert scene.post_problem().code is ScriptCode.POST_FAILED


def test_an_interpreter_that_is_missing(scene: Scene) -> None:
    scene.pre.write_text("#!/no/such/program\n")
    assert scene.pre_problem().code is ScriptCode.PRE_FAILED


def test_a_script_is_tried_again_until_it_succeeds(scene: Scene) -> None:
    scene.script("pre.sh", f"echo tried >>{scene.marks}; [ $(wc -l <{scene.marks}) -eq 3 ]")
    scene.configure(preScriptNoOfRetries=5)
    run_pre(scene.plan(), scene.lines.append, never)
    assert scene.marked() == ["tried"] * 3
    assert [line.split("try ")[1][0] for line in scene.lines] == ["1", "2", "3"]


def test_tries_end(scene: Scene) -> None:
    scene.script("post.sh", f"echo tried >>{scene.marks}; false")
    scene.configure(postScriptNoOfRetries=2)
    assert scene.post_problem().code is ScriptCode.POST_FAILED
    assert scene.marked() == ["tried"] * 3


def test_a_slow_script_and_all_its_processes_are_killed(scene: Scene) -> None:
    stubborn = "trap '' TERM; echo $$ >>{}; while :; do sleep 1; done"
    scene.script("child.sh", stubborn.format(scene.marks))
    scene.script("pre.sh", f"{scene.directory}/child.sh &\n{stubborn.format(scene.marks)}")
    scene.configure(timeoutInSeconds=1, preScriptNoOfRetries=3)
    problem = scene.pre_problem()
    assert (problem.code, problem.started) == (ScriptCode.PRE_TIMEOUT, True)
    processes = [Path("/proc") / mark for mark in scene.marked()]
    assert len(processes) == 2, "tried once, with one child"
    wait_until(lambda: not any(process.exists() for process in processes), "a process goes on")


def test_a_pre_script_that_nobody_waits_for_is_cut_short_with_all_its_processes(scene: Scene) -> None:
    stubborn = "trap '' TERM; echo $$ >>{}; while :; do sleep 1; done"
    scene.script("child.sh", stubborn.format(scene.marks))
    scene.script("pre.sh", f"{scene.directory}/child.sh &\n{stubborn.format(scene.marks)}")
    scene.configure(timeoutInSeconds=600, preScriptNoOfRetries=3)
    problem = scene.problem(
        lambda: run_pre(scene.plan(), scene.lines.append, lambda: len(scene.marked()) == 2)
    )
    assert (problem.code, problem.started) == (ScriptCode.PRE_FAILED, True)
    assert "cut short" in problem.message
    processes = [Path("/proc") / mark for mark in scene.marked()]
    assert len(processes) == 2, "not tried again"
    wait_until(lambda: not any(process.exists() for process in processes), "a process goes on")


def test_a_pre_script_that_fails_is_not_tried_again_for_nobody(scene: Scene) -> None:
    scene.script("pre.sh", f"echo tried >>{scene.marks}; false")
    scene.configure(preScriptNoOfRetries=3)
    problem = scene.problem(lambda: run_pre(scene.plan(), scene.lines.append, lambda: bool(scene.marked())))
    assert problem.started
    assert scene.marked() == ["tried"]


def test_a_slow_script_may_clean_up(scene: Scene) -> None:
    scene.script(
        "post.sh", f"trap 'echo undone >>{scene.marks}; exit' TERM; echo on; while :; do sleep 0.1; done"
    )
    scene.configure(timeoutInSeconds=1)
    assert scene.post_problem().code is ScriptCode.POST_TIMEOUT
    assert scene.marked() == ["undone"]


def test_all_tries_together_are_bounded(scene: Scene) -> None:
    scene.write_host(host(scene, "timeoutInSeconds = 2"))
    scene.script("pre.sh", f"echo tried >>{scene.marks}; sleep 0.7; false")
    scene.script("post.sh", "sleep 0.7; false")
    scene.configure(preScriptNoOfRetries=100, postScriptNoOfRetries=100)
    assert scene.pre_problem().code is ScriptCode.PRE_HOST_TIMEOUT
    assert len(scene.marked()) == 3
    assert scene.post_problem().code is ScriptCode.POST_HOST_TIMEOUT


@pytest.fixture
def background(scene: Scene) -> Iterator[Path]:
    """Where a script notes a process that it leaves behind, which then is ended."""
    note = scene.directory / "background"
    yield note
    os.kill(int(note.read_text()), 9)


def test_what_a_script_leaves_in_the_background_goes_on(scene: Scene, background: Path) -> None:
    scene.script("pre.sh", f"sleep 1000 & echo $! >{background}; echo done")
    run_pre(scene.plan(), scene.lines.append, never)
    assert "it printed: done" in scene.lines[0]
    assert (Path("/proc") / background.read_text().strip()).exists()


def test_endless_output_is_read_and_forgotten(scene: Scene) -> None:
    scene.script("pre.sh", "head -c 3000000 /dev/zero; printf '\\033[31mlast\\377'; exit 1")
    problem = scene.pre_problem()
    assert problem.message.endswith("?[31mlast\ufffd")
    assert len(problem.message) < 2 * scripts.OUTPUT_BYTES


# --- the language -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scripts", "script_config", "trusted_file", "ready_scripts"])
def test_old_pythons_understand_it(name: str) -> None:
    source = Path(scripts.__file__).with_name(f"{name}.py").read_text()
    for node in ast.walk(ast.parse(source, feature_version=(3, 6))):
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            for module in names:
                assert module is not None
                root = module.split(".")[0]
                assert root == "overwinter" or root in sys.stdlib_module_names
