"""The LiteRT engine: its files, its limits, and a start without TensorFlow and Keras.

test_parity.py compares its logits with PyTorch's.
"""

import gc
import os
import re
import shutil
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from mlm.checkpoint.safetensors_header import header_of_file
from mlm.checkpoint.weight_files import WEIGHTS
from mlm.errors import CheckpointError, ConfigError, InputError
from mlm.inference.engines import litert
from mlm.inference.engines.choice import open_with_engine
from mlm.inference.engines.engine import Question
from mlm.inference.engines.litert import conversion, engine
from mlm.inference.fill_mask import FillMask
from tests.support.places import ROOT
from tests.support.small_models import save_random_checkpoint

pytestmark = pytest.mark.skipif(not litert.is_installed(), reason="LiteRT is not installed")

QUESTIONS = [
    Question([2, 11, 4, 12, 3], [2]),
    Question([2, *range(5, 40), 3], [1, 7, 36]),
    Question([2, 11, 4, 3], [2, 0]),
    Question([2, 11, 4, 12, 3], [3]),
]


def largest_difference(one, other) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def test_it_answers_as_keras_does_in_any_order(tiny_bert_folder):
    _, keras = open_with_engine(tiny_bert_folder, "keras")
    _, fast = open_with_engine(tiny_bert_folder, "litert")
    expected = keras.logits(QUESTIONS)
    assert largest_difference(fast.logits(QUESTIONS), expected) < 1e-4
    assert largest_difference(fast.logits(QUESTIONS[::-1])[::-1], expected) < 1e-4
    assert fast.num_parameters == keras.num_parameters
    assert fast.logits([]) == []


@pytest.mark.parametrize("family", ["bert", "modernbert", "mpnet", "albert"])
def test_texts_in_one_call_do_not_see_each_other(family, tmp_path, small_tokenizer):
    save_random_checkpoint(tmp_path, small_tokenizer, family)
    _, fast = open_with_engine(tmp_path, "litert")
    rng = np.random.default_rng(0)
    lengths = (3, 30, 17, 25, 36, 4, 31)
    questions = [Question(rng.integers(5, 40, n).tolist(), [n - 1, 0]) for n in lengths]
    alone = [fast.logits([question])[0] for question in questions]
    assert largest_difference(fast.logits(questions), alone) < 1e-4
    (nothing,) = fast.logits([Question([5, 6], [])])
    assert nothing.shape == (0, len(small_tokenizer))


@pytest.mark.parametrize("family", ["bert", "modernbert", "mpnet", "albert"])
def test_a_single_layer_is_the_last_one(family, tmp_path, small_tokenizer):
    save_random_checkpoint(tmp_path, small_tokenizer, family, num_hidden_layers=1)
    (_, keras), (_, fast) = (open_with_engine(tmp_path, name) for name in ("keras", "litert"))
    assert largest_difference(fast.logits(QUESTIONS), keras.logits(QUESTIONS)) < 1e-4


def test_a_call_has_as_many_texts_as_are_fast(monkeypatch):
    monkeypatch.setattr(engine, "TOKENS_PER_CALL", 10)
    assert list(engine._group([4, 30, 5, 1, 5, 6])) == [[3, 0, 2], [4], [5], [1]]
    assert list(engine._group([])) == []


def test_int8_answers_nearly_as_well(shared_data):
    _, exact = open_with_engine(ROOT / "mlm" / "bundled" / "imdb_modernbert", "litert")
    opened, small = open_with_engine(ROOT / "mlm" / "bundled" / "imdb_modernbert", "litert", "int8")
    text = "I have watched this [MASK] and it was awesome."
    ids = opened.tokenizer(text)["input_ids"]
    question = Question(ids, [ids.index(opened.tokenizer.mask_token_id)])
    (one,), (other,) = exact.logits([question]), small.logits([question])
    assert np.abs(one - other).max() > 0
    assert one.argmax() == other.argmax()
    assert np.corrcoef(one[0], other[0])[0, 1] > 0.999


def test_a_large_model_is_split_into_files_of_few_layers(
    tiny_checkpoint_folder, cache, monkeypatch
):
    _, whole = open_with_engine(tiny_checkpoint_folder)
    monkeypatch.setattr("mlm.inference.engines.litert.encoder_graph.WEIGHTS_PER_FILE", 1)
    _, cut = open_with_engine(tiny_checkpoint_folder, cache=cache)
    below_the_last = cut.config.depths[:-1]
    assert len(list(cache.glob("*/layers_*"))) == len(set(below_the_last))
    assert largest_difference(cut.logits(QUESTIONS), whole.logits(QUESTIONS)) == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux has smaps")
def test_the_memory_of_opened_files_is_released(cache):
    _, engine = open_with_engine(ROOT / "mlm" / "bundled" / "imdb_modernbert", cache=cache)
    engine.logits(QUESTIONS)
    written = sum(path.stat().st_size for path in cache.glob("*/*.tflite"))
    assert written > 10**7
    assert in_memory(cache) < 0.1 * written


def in_memory(folder: Path) -> int:
    """Return the bytes of a folder's model files that this process has in memory."""
    taken, is_inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-", line):
            is_inside = str(folder) in line and line.endswith(".tflite")
        elif is_inside and line.startswith("Rss:"):
            taken += int(line.split()[1]) * 1024
    return taken


def test_it_starts_without_tensorflow_and_keras(tiny_bert_folder, tmp_path):
    code = (
        "import sys\n"
        "from mlm import FillMask\n"
        f"FillMask.from_pretrained({str(tiny_bert_folder)!r})('a [MASK] story')\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)))"
    )
    environment = os.environ | {"HF_ASSETS_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
    assert "INFO" not in done.stderr


# its limits


def test_keras_answers_for_an_encoder_without_a_graph(tmp_path, small_tokenizer):
    folder = save_random_checkpoint(tmp_path, small_tokenizer, "bert", hidden_act="laplace")
    assert open_with_engine(folder)[1].kind == "Keras, float32"
    with pytest.raises(CheckpointError, match="the activation laplace; use the engine keras"):
        open_with_engine(folder, "litert")


def test_keras_answers_if_litert_is_not_installed(tiny_bert_folder, monkeypatch):
    monkeypatch.setattr(litert, "is_installed", lambda: False)
    assert open_with_engine(tiny_bert_folder)[1].kind == "Keras, float32"
    with pytest.raises(CheckpointError, match="ai-edge-litert is not installed"):
        open_with_engine(tiny_bert_folder, "litert")


@pytest.mark.parametrize(
    ("what", "error", "named"),
    [
        ("", ImportError("GLIBC_9.9 not found"), "GLIBC_9.9 not found"),
        ("", ValueError("Didn't find op\nand more"), "Didn't find op"),
        (".logits", RuntimeError("failed to invoke\nand more"), "failed to invoke"),
    ],
)
def test_keras_answers_if_litert_does_not_run(
    tiny_bert_folder, cache, monkeypatch, what, error, named
):
    def broken(*arguments):
        raise error

    monkeypatch.setattr(f"mlm.inference.engines.litert.engine.LiteRTEngine{what}", broken)
    for place in (None, cache):
        assert open_with_engine(tiny_bert_folder, cache=place)[1].kind == "Keras, float32"
    with pytest.raises(CheckpointError, match=named):
        open_with_engine(tiny_bert_folder, "litert")


@pytest.mark.parametrize(
    "tensor",
    ["bert.embeddings.LayerNorm.weight", "bert.embeddings.word_embeddings.weight"],
)
def test_weights_that_are_not_finite_are_left_to_keras(tiny_bert_folder, tmp_path, tensor):
    folder = copy_folder(tiny_bert_folder, tmp_path / "broken")
    at = header_of_file(folder / WEIGHTS)[tensor].begin
    content = bytearray((folder / WEIGHTS).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little") + at
    content[start : start + 4] = np.float32(np.nan).tobytes()
    (folder / WEIGHTS).write_bytes(content)
    fill = FillMask.from_pretrained(folder, dtype="int8")
    assert fill.engine.kind == "Keras, float32"
    with pytest.raises(CheckpointError, match="not finite"):
        fill("a [MASK] story")


@pytest.mark.parametrize("settings", [{"engine": "torch"}, {"dtype": "int4"}])
def test_an_unknown_engine_is_an_error(tiny_bert_folder, settings):
    with pytest.raises(ConfigError, match="expected one of"):
        FillMask.from_pretrained(tiny_bert_folder, **settings)


# its files


def copy_folder(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def conversions(cache: Path) -> dict[str, int]:
    """Return the cached conversions, and when each was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in cache.glob("*/head.tflite")}


def test_a_checkpoint_is_converted_once_and_again_when_it_changes(
    tiny_bert_folder, tmp_path, cache
):
    folder = copy_folder(tiny_bert_folder, tmp_path / "mine")
    open_with_engine(folder, cache=cache)
    first = conversions(cache)
    open_with_engine(folder, cache=cache)
    assert conversions(cache) == first
    open_with_engine(folder, dtype="int8", cache=cache)
    assert len(conversions(cache)) == 2
    later = (folder / WEIGHTS).stat().st_mtime_ns + 10**9
    os.utime(folder / WEIGHTS, ns=(later, later))
    open_with_engine(folder, cache=cache)
    assert len(conversions(cache)) == 3
    assert [path.name for path in cache.glob("making-*")] == []


@pytest.mark.parametrize(
    "file",
    ["inference/engines/litert/graph.py", "checkpoint/families/bert.py", "checkpoint/weights.py"],
)
def test_it_is_converted_again_by_other_code(tiny_bert_folder, tmp_path, cache, monkeypatch, file):
    open_with_engine(tiny_bert_folder, cache=cache)
    package = tmp_path / "mlm"
    shutil.copytree(conversion.PACKAGE, package, ignore=shutil.ignore_patterns("bundled"))
    monkeypatch.setattr(conversion, "PACKAGE", package)
    open_with_engine(tiny_bert_folder, cache=cache)
    assert len(conversions(cache)) == 1
    with (package / file).open("a") as stream:
        stream.write("# changed\n")
    open_with_engine(tiny_bert_folder, cache=cache)
    assert len(conversions(cache)) == 2


def test_it_is_converted_again_when_a_copy_preserves_mtime(tiny_bert_folder, tmp_path, cache):
    folder = copy_folder(tiny_bert_folder, tmp_path / "mine")
    open_with_engine(folder, cache=cache)
    before = (folder / WEIGHTS).stat().st_mtime_ns
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    os.utime(folder / WEIGHTS, ns=(before, before))
    open_with_engine(folder, cache=cache)
    assert len(conversions(cache)) == 2


def test_a_whole_conversion_need_not_be_writable(tiny_bert_folder, cache, monkeypatch):
    open_with_engine(tiny_bert_folder, cache=cache)

    def refused(*arguments, **options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.utime", refused)
    monkeypatch.setattr(
        "mlm.inference.engines.litert.conversion._convert", refused
    )  # it is not converted again
    assert open_with_engine(tiny_bert_folder, cache=cache)[1].kind.startswith("LiteRT")


def test_the_folder_of_a_killed_conversion_is_deleted(tiny_bert_folder, cache):
    killed, running = cache / "making-killed", cache / "making-running"
    for each in (killed, running):
        each.mkdir(parents=True)
    two_hours_ago = time.time() - 2 * 3600
    os.utime(killed, (two_hours_ago, two_hours_ago))
    open_with_engine(tiny_bert_folder, cache=cache)
    assert running.exists() and not killed.exists()


def test_an_engine_is_freed_without_the_garbage_collector(tiny_bert_folder):
    _, engine = open_with_engine(tiny_bert_folder)
    engine.logits(QUESTIONS)
    gone = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert gone() is None
    finally:
        gc.enable()


def test_tables_of_few_lengths_are_kept(tiny_checkpoint_folder, monkeypatch):
    monkeypatch.setattr("mlm.inference.engines.litert.inputs.TABLES_KEPT", 0)
    _, engine = open_with_engine(tiny_checkpoint_folder)
    engine.logits(QUESTIONS)
    assert len(engine._inputs._tables) == 1


def test_nothing_is_kept_without_a_cache(tiny_bert_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    _, engine = open_with_engine(tiny_bert_folder)
    assert engine.kind.startswith("LiteRT")
    assert list(tmp_path.iterdir()) == []
    assert np.isfinite(engine.logits(QUESTIONS)[0]).all()


def test_a_conversion_unused_for_a_month_is_deleted(
    tiny_bert_folder, tiny_checkpoint_folder, cache
):
    open_with_engine(tiny_bert_folder, cache=cache)
    (old,) = cache.iterdir()
    long_ago = time.time() - 31 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    open_with_engine(tiny_checkpoint_folder, cache=cache)
    assert not old.exists()
    assert len(conversions(cache)) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda model: model.write_bytes(b"TFL3 no more"),
        lambda model: model.write_bytes(model.read_bytes()[:-1000]),
        lambda model: model.write_bytes(bytes(model.stat().st_size)),
        lambda model: (model.parent / "word_embeddings.npy").write_bytes(b""),
        lambda model: (model.parent / "sizes.json").unlink(),
    ],
)
def test_a_damaged_conversion_is_converted_again(tiny_bert_folder, cache, spoil):
    _, engine = open_with_engine(tiny_bert_folder, cache=cache)
    expected = engine.logits(QUESTIONS)
    (model,) = cache.glob("*/layers_*")
    spoil(model)
    _, again = open_with_engine(tiny_bert_folder, cache=cache)
    assert again.kind.startswith("LiteRT")
    assert largest_difference(again.logits(QUESTIONS), expected) == 0


def test_litert_answers_if_the_cache_cannot_be_written(tiny_bert_folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    _, engine = open_with_engine(tiny_bert_folder, cache=tmp_path / "file" / "cache")
    assert engine.kind.startswith("LiteRT")


def test_keras_answers_if_nothing_can_be_written(tiny_bert_folder, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    assert open_with_engine(tiny_bert_folder)[1].kind == "Keras, float32"


def test_a_model_file_in_the_checkpoint_is_not_read(tiny_bert_folder, tmp_path):
    folder = copy_folder(tiny_bert_folder, tmp_path / "theirs")
    (folder / "head.tflite").write_bytes(b"anything")
    fill = FillMask.from_pretrained(folder)
    with pytest.raises(InputError, match="no mask"):
        fill("no mask here")
    assert len(fill("a [MASK] story")) == 5
