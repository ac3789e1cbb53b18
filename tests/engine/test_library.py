"""How the native engine becomes a library: compilers that fail, builds that are damaged or of another machine."""

import os
import signal
import stat
import subprocess
import sys
import threading

import pytest

from neuronsweep.engine import build, library

SMALL = """
#include <stdint.h>
#define PUBLIC __attribute__((visibility("default")))
PUBLIC int32_t bits(void) { return REAL_BITS; }
PUBLIC int32_t self_check(void) { return 0; }
"""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A small engine's source, with places of its own for builds, and a process that knows none yet."""
    native = tmp_path / "native"
    native.mkdir()
    (native / "member.c").write_text(SMALL)
    monkeypatch.setattr(build, "NATIVE", native)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    forget(monkeypatch)
    return native / "member.c"


def forget(monkeypatch) -> None:
    """What a new process knows."""
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(library, "_reasons", {})


def kept(place) -> list:
    return sorted(place.glob("lib/neuronsweep/engine/*")) + sorted(place.glob("neuronsweep/*"))


def script(path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    """A PATH without a compiler, and no ziglang wheel."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def only(monkeypatch, tmp_path):
    """Make these the only compilers: only("exit 1", "gcc") with scripts, or names of those that are here."""

    def only(*scripts: str) -> None:
        commands = [[script(tmp_path / f"compiler{i}", text)] for i, text in enumerate(scripts)]
        monkeypatch.setattr(build, "compilers", lambda: commands)

    return only


def runs(monkeypatch) -> list:
    """The commands that are run from now on."""
    commands: list = []
    finish = build.finish

    def noted(command, **words):
        commands.append(command)
        return finish(command, **words)

    monkeypatch.setattr(build, "finish", noted)
    return commands


@pytest.mark.parametrize("bits", [32, 64])
def test_each_precision_is_compiled_once_and_found_by_the_next_process(source, tmp_path, monkeypatch, bits):
    assert library.missing(bits) is None
    assert library.library(bits).bits() == bits
    assert library.library(bits) is library.library(bits)
    (path,) = kept(tmp_path / "environment")
    assert path.name.startswith(f"member{bits}-")
    forget(monkeypatch)
    commands = runs(monkeypatch)
    assert library.library(bits).bits() == bits
    assert commands == []


def test_another_number_of_bits_is_refused():
    with pytest.raises(ValueError, match="bits=16"):
        library.library(16)


def test_threads_that_ask_at_once_compile_once(source, monkeypatch):
    commands = runs(monkeypatch)
    found = []
    threads = [threading.Thread(target=lambda: found.append(library.library(64))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert len(commands) == 2  # the compiler, the check


def test_processes_that_build_at_once_do_not_disturb_each_other(source, tmp_path):
    code = (
        f"import sys; from pathlib import Path; sys.prefix = {str(tmp_path / 'environment')!r}\n"
        f"from neuronsweep.engine import build, library; build.NATIVE = Path({str(source.parent)!r})\n"
        "assert library.library(32).bits() == 32"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(kept(tmp_path / "environment")) == 1


@pytest.mark.parametrize(
    "damage",
    [lambda b: b"", lambda b: b[:-1], lambda b: b[: len(b) // 2], lambda b: b[:999] + bytes([b[999] ^ 1]) + b[1000:]],
    ids=["empty", "cut by a byte", "cut in half", "a bit flipped"],
)
def test_damage_of_a_build_is_noticed_and_mended(source, tmp_path, monkeypatch, damage):
    library.library(32)
    (path,) = kept(tmp_path / "environment")
    content = path.read_bytes()
    path.unlink()  # loaded: it may not change under this process
    path.write_bytes(damage(content))
    forget(monkeypatch)
    commands = runs(monkeypatch)
    assert library.library(32).bits() == 32
    assert len(commands) == 2
    (path,) = kept(tmp_path / "environment")
    assert path.stem.endswith(library._digest(path))


def test_a_changed_source_is_compiled_anew(source, monkeypatch):
    assert library.library(32).bits() == 32
    (source.parent / "other.h").write_text("#define BITS 7\n")
    source.write_text(
        SMALL.replace("return REAL_BITS", "return BITS").replace("#define", '#include "other.h"\n#define', 1)
    )
    forget(monkeypatch)
    assert library.library(32).bits() == 7
    (source.parent / "other.h").write_text("#define BITS 8\n")
    forget(monkeypatch)
    assert library.library(32).bits() == 8


def test_a_build_for_another_processor_is_not_used(source, tmp_path, monkeypatch):
    library.library(32)
    forget(monkeypatch)
    monkeypatch.setattr(build, "features", lambda: "flags: mmx")
    commands = runs(monkeypatch)
    assert library.library(32).bits() == 32
    assert len(commands) == 2
    assert len(kept(tmp_path / "environment")) == 2


def test_a_processor_is_known_by_its_instructions_alone(monkeypatch):
    def seen(text: str) -> str:
        monkeypatch.setattr(build.Path, "read_text", lambda path, **words: text)
        build.features.cache_clear()
        return build.features()

    first = "processor\t: 0\ncpu MHz\t\t: 2000.1\nflags\t\t: fpu avx2 sse\nbogomips : 4000\n"
    assert seen(first) == seen(first.replace("2000", "3500") + "processor\t: 1\nflags\t\t: sse fpu avx2\n")
    assert seen(first) != seen(first.replace("avx2", "avx2 avx512f"))
    assert seen("CPU part\t: 0xd0c\nFeatures\t: fp asimd\n") != seen("CPU part\t: 0xd0c\nFeatures\t: fp asimd sve\n")
    monkeypatch.setattr(build.platform, "node", lambda: "here")
    unknown = seen("processor : 0\n")
    monkeypatch.setattr(build.platform, "node", lambda: "there")
    assert unknown != seen("processor : 0\n")
    build.features.cache_clear()


def test_a_replaced_compiler_compiles_anew(source, tmp_path, monkeypatch, only):
    only('exec cc "$@"')
    library.library(32)
    forget(monkeypatch)
    only('# the next version\nexec cc "$@"')
    commands = runs(monkeypatch)
    assert library.library(32).bits() == 32
    assert len(commands) == 2
    assert len({path.name.split("-")[2] for path in kept(tmp_path / "environment")}) == 2


def test_a_build_is_used_where_its_compiler_is_gone(source, monkeypatch, only):
    for bits in library.PRECISIONS:
        library.library(bits)
    forget(monkeypatch)
    only()
    assert library.missing(32) is None
    assert library.library(32).bits() == 32


def test_without_any_compiler_there_is_a_reason(source, no_compiler):
    assert library.missing(32) == library.NO_COMPILER
    with pytest.raises(library.NoLibrary, match="there is no C compiler"):
        library.library(32)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo in a file:; echo 'x.c:1:2: error: no such thing' >&2; exit 1", "x.c:1:2: error: no such thing"),
        ("exit 3", r"made nothing \(status 3\)"),
        ("exit 0", r"made nothing \(status 0\)"),
        ('while [ "$1" != -o ]; do shift; done; echo text > "$2"', "member.*so"),
    ],
    ids=["an error", "no word", "no file", "no library"],
)
def test_a_compiler_that_fails_is_skipped(source, monkeypatch, only, text, reason):
    only(text)
    with pytest.raises(library.NoLibrary, match=reason) as error:
        library.library(32)
    assert "\n" not in str(error.value)
    assert library.missing(32) == str(error.value)
    forget(monkeypatch)
    only(text, 'exec cc "$@"')
    assert library.library(32).bits() == 32


def test_a_compiler_that_hangs_is_ended_with_its_children(source, tmp_path, monkeypatch, only):
    monkeypatch.setattr(build, "TIMEOUT", 0.3)
    only(f"sleep 1000 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(library.NoLibrary, match=r"took longer than 0.3 s"):
        library.library(32)
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", (tmp_path / "child").read_text()], capture_output=True, text=True
    )
    assert state.stdout.strip() in ("", "Z")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("return 0", "return 5", "its self_check gives 5"),
        ("return 0", "__builtin_trap()", f"ends with {signal.SIGILL.name}|SIGTRAP"),
        ("return 0", "extern int missing(void); return missing()", "missing"),
    ],
    ids=["wrong", "an illegal instruction", "an unknown symbol"],
)
def test_what_does_not_pass_its_check_is_not_kept(source, tmp_path, old, new, reason):
    source.write_text(SMALL.replace(old, new))
    with pytest.raises(library.NoLibrary, match=reason):
        library.library(32)
    assert kept(tmp_path / "environment") == kept(tmp_path / "cache") == []


def test_the_words_for_this_processor_are_tried_in_turn(source, tmp_path, only):
    only(f'echo "$@" >> {tmp_path}/words; case "$*" in *=native*) exit 1;; esac; exec cc "$@"')
    assert library.library(32).bits() == 32
    words = [line.split() for line in (tmp_path / "words").read_text().splitlines()]
    assert [[word for word in line if word.endswith("=native")] for line in words] == [
        ["-march=native"],
        ["-mcpu=native"],
        [],
    ]


@pytest.mark.parametrize("places", [0, 1, 2])
def test_a_build_is_kept_in_the_first_place_that_can_be_written(source, tmp_path, monkeypatch, places):
    for name in ("environment", "cache")[:places]:
        (tmp_path / name).write_text("not a directory")  # as root may write in every directory
    loaded = library.library(32)
    assert loaded.bits() == 32
    at = (tmp_path / "environment", tmp_path / "cache")
    assert [len(kept(place)) for place in at] == [places == 0, places == 1]
    assert os.path.exists(loaded._name)


def test_a_command_makes_both_and_says_so_in_one_line(source, tmp_path, capsys):
    assert library.main() == 0
    assert capsys.readouterr().out == f"native engine: {tmp_path}/environment/lib/neuronsweep/engine\n"
    assert len(kept(tmp_path / "environment")) == 2


def test_a_command_without_a_compiler_says_that_lightning_will_train(source, capsys, no_compiler):
    assert library.main() == 1
    assert capsys.readouterr().out == f"no native engine, Lightning will train: {library.NO_COMPILER}\n"


def test_compilers_in_order(monkeypatch, tmp_path):
    for name in ("mine", "gcc", "clang", "cc"):
        script(tmp_path / name, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: object())
    zig = [sys.executable, "-m", "ziglang", "cc"]
    monkeypatch.setenv("CC", "mine -pipe")
    assert build.compilers() == [["mine", "-pipe"], ["gcc"], ["clang"], ["cc"], zig]
    monkeypatch.setenv("CC", "clang")
    assert build.compilers() == [["clang"], ["gcc"], ["cc"], zig]
    for word in ("", "nowhere", "open 'quote"):
        monkeypatch.setenv("CC", word)
        assert build.compilers() == [["gcc"], ["clang"], ["cc"], zig]
