"""Tables: what their columns become, which rows train, and what is refused before anything is trained."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from neuronsweep.config.check import described, plain
from neuronsweep.data import table
from neuronsweep.data.build import build_dataset
from neuronsweep.data.columns import read
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.preparation import OTHER, RARE, Preparation
from tests.commands import ROOT
from tests.data.tables import HEADER, birds, refusal, write

NUMBERS = HEADER[1:6]


@pytest.fixture
def file(tmp_path):
    """The path of a CSV file of birds."""
    return write(tmp_path / "birds.csv", HEADER, birds())


@pytest.fixture
def built(composed):
    """The data set of data=table and more words."""

    def built(*words: str, data: str = "table") -> Dataset:
        return build_dataset(plain(composed(f"data={data}", *words).data))

    return built


@pytest.fixture
def csv_of(tmp_path, composed):
    """Writes lines to a file and returns the notes on it: csv_of("x,y", "1,2", words=["data.target=y"])."""

    def csv_of(*lines: str, words: tuple[str, ...] = ("data.target=y",)) -> str:
        (tmp_path / "some.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        config = composed("data=table", f"data.file={tmp_path / 'some.csv'}", *words)
        found = described(config)
        assert found
        return "\n".join(found.notes)

    return csv_of


def words(file: str, *more: str) -> tuple[str, ...]:
    return (f"data.file={file}", "data.target=species", *more)


def of(dataset: Dataset, split: str, *names: str) -> np.ndarray:
    """Columns of a split's x by their names."""
    return dataset.splits[split].x[:, [dataset.feature_names.index(name) for name in names]].numpy()


# what columns become -------------------------------------------------------------------------------------------------


def test_inputs_are_those_of_scikit_learns_own_pipeline(file, built):
    dataset = built(*words(file))
    rows = table.rows({"_target_": "neuronsweep.data.table.table", "file": file, "target": "species"})
    columns = read(file).columns
    everything = np.empty((120, 6), object)
    for i, name in enumerate(NUMBERS):
        everything[:, i] = columns[name].numbers
    island = columns["island"]
    assert island.codes is not None
    everything[:, 5] = [(*island.levels, "(blank)")[code] for code in island.codes]
    pipeline = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(range(5))),
            ("words", OneHotEncoder(min_frequency=RARE, handle_unknown="infrequent_if_exist"), [5]),
        ],
        sparse_threshold=0,
    ).fit(everything[rows["train"]])
    for name in ("train", "val"):
        expected = pipeline.transform(everything[rows[name]]).astype(np.float64)
        # scikit-learn orders levels by the alphabet, where the blank comes first
        levels = [f"island={one}" for one in pipeline.named_transformers_["words"].get_feature_names_out(["w"])]
        ours = [one.replace("island=w_infrequent_sklearn", f"island={OTHER}").replace("=w_", "=") for one in levels]
        assert set(dataset.feature_names) == {*NUMBERS, *ours}
        np.testing.assert_allclose(of(dataset, name, *NUMBERS, *ours), expected, atol=1e-6)
    assert dataset.class_names == ("adelie", "chinstrap", "gentoo")
    kinds = np.array([row[7] for row in birds()])
    assert [dataset.class_names[k] for k in dataset.splits["val"].y] == kinds[rows["val"]].tolist()


def test_what_is_odd_is_noted(file, composed):
    found = described(composed("data=table", *words(file)))
    assert found
    notes = found.notes
    assert notes[0] == "birds.csv: 120 rows, 6 features (5 of numbers, 1 of words), target species (classification)"
    assert "values are missing in bill, flipper, island: numbers become the median, words a level" in notes[1]
    assert notes[2].startswith("id only numbers or names the rows, and is left out")
    assert len(notes) == 3


def test_copies_constants_and_identifiers_are_noted(csv_of):
    rows = [f"{name},{i % 6},7,{i % 6}" for i, name in enumerate("abcdefghijkl")]
    notes = csv_of("name,x,same,y", *rows)
    assert "name only numbers or names the rows" in notes
    assert "same has one value in all rows" in notes
    assert "6 rows are copies of others" in notes
    constant = csv_of("x,y", *(f"{i},3" for i in range(9)))
    assert "the target y has one value in all rows" in constant
    blank = csv_of("x,y", "1,2", "2,", "3,4", "4,5")
    assert "1 rows without a target are left out" in blank


@pytest.mark.parametrize(
    ("values", "more", "task"),
    [
        (["1.5", "2", "3", "4"] * 3, (), "regression"),
        (["0", "1", "2"] * 4, (), "regression"),
        (["0", "1", "2"] * 4, ("data.task=classes",), "classification"),
        (["yes", "no"] * 6, (), "classification"),
        (["True", "False"] * 6, (), "classification"),
        (["1e3", "-.5", "+2", ""] * 3, (), "regression"),
    ],
)
def test_the_task_follows_the_target(csv_of, composed, tmp_path, values, more, task):
    csv_of("x,y", *(f"{i},{value}" for i, value in enumerate(values)), words=("data.target=y", *more))
    config = composed("data=table", f"data.file={tmp_path / 'some.csv'}", "data.target=y", *more)
    found = described(config)
    assert found
    assert found.task == task


def test_numbers_that_name_classes_keep_their_names_and_order(tmp_path, built):
    file = write(tmp_path / "t.csv", ["x", "y"], [[i, (10, 9, 2)[i % 3]] for i in range(30)])
    dataset = built(f"data.file={file}", "data.target=y", "data.task=classes")
    assert dataset.class_names == ("2", "9", "10")


def test_categories_makes_words_of_numbers(tmp_path, built):
    file = write(tmp_path / "t.csv", ["zip", "y"], [[(10, 9, 2)[i % 3], i] for i in range(30)])
    dataset = built(f"data.file={file}", "data.target=y", "data.categories=[zip]")
    assert dataset.feature_names == ("zip=2", "zip=9", "zip=10")
    assert (dataset.splits["train"].x.sum(1) == 1).all()


def test_rare_levels_share_a_column_with_those_that_training_has_not_seen(tmp_path, built):
    levels = ["a"] * 40 + ["b"] * 40 + ["c", "d", "e"]
    file = write(tmp_path / "t.csv", ["w", "v", "y"], [[one, one, i] for i, one in enumerate(levels)])
    dataset = built(f"data.file={file}", "data.target=y")
    assert dataset.feature_names == tuple(f"{name}={level}" for name in "wv" for level in ("a", "b", OTHER))
    columns = read(write(tmp_path / "new.csv", ["v", "w"], [["a", "zebra"], ["", "b"]])).columns
    assert dataset.table.x(columns).tolist() == [[0, 0, 1, 1, 0, 0], [0, 1, 0, 0, 0, 1]]


def test_a_level_that_training_has_not_seen_is_no_level_where_none_was_rare(tmp_path, built):
    file = write(tmp_path / "t.csv", ["w", "y"], [["ab"[i % 2], i] for i in range(40)])
    columns = read(write(tmp_path / "new.csv", ["w"], [["zebra"], ["b"]])).columns
    assert built(f"data.file={file}", "data.target=y").table.x(columns).tolist() == [[0, 0], [0, 1]]


def test_drop_leaves_out_rows_with_blanks(file, built):
    whole, dropped = built(*words(file)), built(*words(file, "data.missing=drop"))
    complete = sum("" not in row for row in birds())
    assert sum(len(split.x) for split in dropped.splits.values()) == complete < 120
    assert sum(len(split.x) for split in whole.splits.values()) == 120
    assert not any("blank" in name for name in dropped.feature_names)


def test_targets_of_a_regression_are_standardised_and_metrics_are_in_its_units(file, built):
    dataset = built(f"data.file={file}", "data.target=[height,mass]", "data.drop=[species]")
    rows = table.rows({"_target_": "x.table", "file": file, "target": ["height", "mass"], "drop": ["species"]})
    y = dataset.splits["train"].y
    torch.testing.assert_close(y.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.std(0, unbiased=False), torch.ones(2))
    heights = read(file).columns["height"].numbers
    assert heights is not None
    own = dataset.table.own_units(dataset.splits["val"].y.double().numpy())
    np.testing.assert_allclose(own[:, 0], heights[rows["val"]], rtol=1e-5)
    one = built(f"data.file={file}", "data.target=height")
    scale = heights[table.rows({"_target_": "x.table", "file": file, "target": "height"})["train"]].std()
    metrics = {"val/loss": 1.0, "val/mae": 1.0, "val/r2": 0.5, "val/rmse": 1.0}
    units = one.own_units(metrics, "mse")
    assert units == pytest.approx({"val/loss": scale**2, "val/mae": scale, "val/r2": 0.5, "val/rmse": scale})
    assert dataset.own_units(metrics, "mse") == metrics


def test_a_preparation_is_read_back_to_the_same_bits(file, built):
    import json

    dataset = built(*words(file))
    again = Preparation.from_json(json.loads(json.dumps(dataset.prepared)))
    assert again == dataset.table
    assert np.array_equal(again.x(read(file).columns), dataset.table.x(read(file).columns))


# files ---------------------------------------------------------------------------------------------------------------


def test_every_kind_of_file_has_the_same_columns(tmp_path, file):
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = (tmp_path / "birds.csv").read_text()
    (tmp_path / "b.tsv").write_text(text.replace(",", "\t"))
    (tmp_path / "b.csv").write_text("\ufeff" + text.replace(",", ";").replace("\n", "\r\n"), encoding="utf-8")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    rows = zip(*birds(), strict=True)
    kinds = [pa.int64(), *[pa.float64()] * 5, pa.string(), pa.string()]
    arrays = [
        pa.array([None if one == "" else one if i > 5 else float(one) for one in values]).cast(kinds[i])
        for i, values in enumerate(rows)
    ]
    pq.write_table(pa.table(dict(zip(HEADER, arrays, strict=True))), tmp_path / "b.parquet")
    expected = read(file).columns
    for name in ("b.tsv", "b.csv", "b.csv.gz", "b.parquet"):
        found = read(str(tmp_path / name)).columns
        assert list(found) == list(expected)
        for one, other in zip(found.values(), expected.values(), strict=True):
            assert one.levels == other.levels
            np.testing.assert_array_equal(one.values, other.values)


def test_columns_have_any_name(tmp_path, built):
    header = ['the "price", in €', " Größe ", "a=b", "名前"]
    rows = [[i, i % 7, "x,y" if i % 2 else 'z"', "new\nline" if i % 3 else "ü"] for i in range(30)]
    file = write(tmp_path / "my table (1).csv", header, rows)
    dataset = built(f"data.file='{file}'", "data.target='the \"price\", in €'")
    assert dataset.target_names == ('the "price", in €',)
    assert dataset.feature_names == ("Größe", "a=b=x,y", 'a=b=z"', "名前=new\nline", "名前=ü")


def test_a_column_that_turns_to_words_behind_the_first_block_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("neuronsweep.data.columns.BLOCK", 10)
    file = write(tmp_path / "t.csv", ["a", "b"], [*[[i, i] for i in range(35)], ["word", ""]])
    columns = read(file).columns
    assert columns["a"].levels[-1] == "word"
    assert columns["a"].levels[:3] == ("0", "1", "10")
    numbers = columns["b"].numbers
    assert numbers is not None
    assert np.isnan(numbers[-1])


def test_numbers_are_read_as_people_write_them(tmp_path):
    file = write(tmp_path / "t.csv", ["a"], [[one] for one in (" 1", "1e3", "-.5", "NA", "null", "+7", "nan")])
    np.testing.assert_array_equal(read(file).columns["a"].numbers, [1, 1000, -0.5, np.nan, np.nan, 7, np.nan])


# splits --------------------------------------------------------------------------------------------------------------


def splits(file: str, **keys) -> dict[str, np.ndarray]:
    return dict(table.rows({"_target_": "neuronsweep.data.table.table", "file": file, **keys}))


def test_every_row_is_in_one_split_and_test_rows_in_no_fold(file):
    tests, vals = [], []
    for fold in range(5):
        found = splits(file, target="species", test=0.2, fold=fold)
        np.testing.assert_array_equal(np.sort(np.concatenate(list(found.values()))), np.arange(120))
        tests.append(found["test"].tolist())
        vals.append(found["val"])
    assert len(tests[0]) == 24
    assert all(one == tests[0] for one in tests)
    assert sorted([*np.concatenate(vals), *tests[0]]) == list(range(120))


def test_folds_are_stratified(file):
    kinds = np.array([row[7] for row in birds()])
    for fold in range(5):
        found = splits(file, target="species", fold=fold)
        assert all(count == 8 for count in np.unique(kinds[found["val"]], return_counts=True)[1])


def test_groups_stay_together(tmp_path):
    rows = [[i, f"g{i % 11}", "ab"[i % 2]] for i in range(110)]
    file = write(tmp_path / "t.csv", ["x", "group", "y"], rows)
    for keys in ({"fold": 1}, {"test": 0.2}, {"target": "x", "fold": 0}, {"target": "x"}):
        found = splits(file, **{"target": "y", "groups": "group", **keys})
        held = [{int(row) % 11 for row in part} for part in found.values()]
        assert sum(map(len, held)) == 11


@pytest.mark.parametrize("dates", [True, False])
def test_later_rows_are_in_later_splits(tmp_path, dates):
    order = np.random.default_rng(0).permutation(60)
    when = [f"2026-{1 + k // 28:02}-{1 + k % 28:02}" if dates else k for k in order.tolist()]
    file = write(tmp_path / "t.csv", ["x", "when", "y"], [[i % 7, one, i] for i, one in enumerate(when)])
    found = splits(file, target="y", time="when", test=0.2)
    assert order[found["train"]].max() < order[found["val"]].min()
    assert order[found["val"]].max() < order[found["test"]].min() == 48
    first, last = (splits(file, target="y", time="when", folds=4, fold=k) for k in (0, 3))
    assert (len(first["train"]), len(last["train"])) == (12, 48)
    assert order[last["train"]].max() < order[last["val"]].min()


def test_the_seed_draws_the_splits(file):
    one, same, other = (splits(file, target="species", seed=seed)["val"].tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_the_test_rows_are_in_no_split_of_a_run(file, built, composed):
    dataset = built(*words(file, "data.test=.25"))
    assert list(dataset.splits) == ["train", "val"]
    test = table.test_split(plain(composed("data=table", *words(file, "data.test=.25")).data))
    assert len(test.x) == 30
    seen = {row.numpy().tobytes() for split in dataset.splits.values() for row in split.x}
    assert not any(row.numpy().tobytes() in seen for row in test.x)


# no leak -------------------------------------------------------------------------------------------------------------


def test_statistics_of_other_rows_never_reach_a_transformer(tmp_path, built):
    rows = birds()
    file = write(tmp_path / "birds.csv", HEADER, rows)
    where = splits(file, target="height", drop=["species"], test=0.2)
    before = built(f"data.file={file}", "data.target=height", "data.drop=[species]", "data.test=.2")
    for i in (*where["val"], *where["test"]):
        rows[i] = [rows[i][0], *["1e6"] * 4, "-1e7", f"other{i}", rows[i][7]]
    file = write(tmp_path / "changed.csv", HEADER, rows)
    after = built(f"data.file={file}", "data.target=height", "data.drop=[species]", "data.test=.2")
    np.testing.assert_array_equal(splits(file, target="height", drop=["species"], test=0.2)["val"], where["val"])
    assert after.table.features == before.table.features
    assert (after.table.centre, after.table.scale) == (before.table.centre, before.table.scale)
    assert torch.equal(after.splits["train"].x, before.splits["train"].x)
    assert torch.equal(after.splits["train"].y, before.splits["train"].y)


def test_a_feature_that_is_the_target_in_validation_rows_only_is_not_learnt(tmp_path, alone):
    import json

    rng = np.random.default_rng(0)
    target = rng.permutation(np.arange(200) % 2)
    noise = rng.normal(size=(200, 2))
    file = write(tmp_path / "plain.csv", ["a", "b", "y"], [[*noise[i], "ny"[target[i]]] for i in range(200)])
    val = splits(file, target="y")["val"]
    noise[val, 1] = target[val] * 2 - 1
    file = write(tmp_path / "planted.csv", ["a", "b", "y"], [[*noise[i], "ny"[target[i]]] for i in range(200)])
    assert splits(file, target="y")["val"].tolist() == val.tolist()
    directory = alone("data=table", f"data.file={file}", "data.target=y", "logger=none", "epochs=40", "log_points=2")
    metrics = json.loads((directory / "metrics.json").read_text())
    assert metrics["val/acc"] < 0.75  # by chance 0.5; whoever learns the planted feature is right on all 40 rows


# packaged tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rows", "inputs", "outputs", "classes"),
    [
        ("iris", 150, 4, 3, ("setosa", "versicolor", "virginica")),
        ("wine", 178, 13, 3, ("class_0", "class_1", "class_2")),
        ("breast_cancer", 569, 30, 1, ("malignant", "benign")),
        ("diabetes", 442, 10, 1, ()),
        ("digits", 1797, 64, 10, tuple("0123456789")),
    ],
)
def test_packaged_tables(built, name, rows, inputs, outputs, classes):
    dataset = built(data=name)
    assert sum(len(split.x) for split in dataset.splits.values()) == rows
    assert (dataset.inputs, dataset.outputs, dataset.class_names) == (inputs, outputs, classes)
    x = dataset.splits["train"].x
    torch.testing.assert_close(x.mean(0), torch.zeros(inputs), atol=1e-5, rtol=0)
    held = built("data.test=.2", "data.fold=2", "data.seed=7", data=name)
    assert held.table.source["rows"]["test"] == pytest.approx(rows / 5, abs=1)


# what is refused -----------------------------------------------------------------------------------------------------

# Lines of a file, more words of the command, and what is said.
BAD = {
    "no target": (["x,y", "1,2"], ["data.target=null"], "data.target is not named"),
    "no column": (["size,price", "1,2"], ["data.target=prize"], "has no such column; did you mean price?"),
    "far column": (["size,price", "1,2"], ["data.target=z"], "it has size, price"),
    "feature": (["x,y", "1,2"], ["data.features=[x,y]"], "data.features is not allowed to have y: it is the target"),
    "twice": (["x,y", "1,2"], ["data.features=[x,x]"], "data.features is not allowed to have x twice"),
    "no drop": (["x,y", "1,2"], ["data.drop=[w]"], "data.drop=w is not allowed"),
    "text in numbers": (["x,y", *["1,2"] * 5, "1o,2"], [], "column x holds numbers, but row 6 has '1o'"),
    "text in target": (["x,y", *["1,2"] * 5, "1,2o"], [], "data.target=y holds numbers, but row 6 has '2o'"),
    "infinite": (["x,y", "1,2", "inf,3"], [], "column x has inf in row 2"),
    "infinite target": (["x,y", "1,2", "2,-inf"], [], "column y has -inf in row 2"),
    "blank column": (["x,w,y", "1,,2", "2,NA,3"], [], "column w is blank in every row"),
    "blank target": (["x,y", "1,", "2,"], [], "data.target=y is not allowed: it is blank in every row"),
    "blank refused": (["x,y", "1,2", ",3"], ["data.missing=refuse"], "column x is blank in row 2"),
    "all dropped": (["x,w,y", "1,,2", ",1,3"], ["data.missing=drop"], "every row has a blank"),
    "one row": (["x,y", "1,2"], [], "the table has 1 row that can be used"),
    "few rows": (["x,y", "1,2", "2,3", "3,4"], ["data.fold=0"], "data.folds=5 is not allowed: the table has 3 rows"),
    "fold": (["x,y", *["1,2"] * 9], ["data.folds=3", "data.fold=3"], "data.fold=3 is not allowed"),
    "one class": (["x,y", "1,a", "2,a"], [], "all of its rows are of class a"),
    "few of a class": (
        ["x,y", *["1,a"] * 9, "2,b", "3,b"],
        ["data.fold=0"],
        "class b of data.target=y has 2 rows, and every split needs one",
    ),
    "dates": (["when,y", "2026-11-25,1", "2026-11-26,2"], [], "column when holds dates"),
    "target of dates": (["x,y", "1,2026-11-25", "2,2026-11-26"], [], "data.target=y is not allowed: it holds dates"),
    "text regression": (["x,y", "1,a", "2,b"], ["data.task=regression"], "row 1 has 'a', which is no number"),
    "several of words": (["x,y,z", "1,a,1", "2,b,2"], ["data.target=[y,z]"], "with several targets"),
    "several classes": (
        ["x,y,z", "1,1,1", "2,2,2"],
        ["data.target=[y,z]", "data.task=classes"],
        "classes have one target",
    ),
    "no features": (["y", "1", "2"], [], "has no column to learn from"),
    "no rows": (["x,y"], [], "it has no rows"),
    "empty": ([], [], "it is empty"),
    "same names": (["x,x,y", "1,2,3"], [], "two of its columns are called x"),
    "ragged": (["x,y", "1,2", "1,2,3"], [], "line 3 has 3 fields, and the first line has 2"),
    "groups": (["x,g,y", "1,a,2", "2,a,3"], ["data.groups=g"], "data.groups has 1 group"),
    "blank group": (["x,g,y", "1,a,2", "2,,3"], ["data.groups=g"], "data.groups=g is not allowed: it is blank in row"),
    "time": (["x,t,y", "1,now,2", "2,then,3"], ["data.time=t"], "neither a number nor a date"),
    "time and groups": (["x,t,y", "1,1,2", "2,2,3"], ["data.time=t", "data.groups=t"], "is not allowed with data.time"),
    "test": (["x,y", *["1,2"] * 9], ["data.test=1"], "data.test=1.0 is not allowed"),
    "val": (["x,y", *["1,2"] * 9], ["data.val=0"], "data.val=0.0 is not allowed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_table_is_refused_before_anything_is_trained(tmp_path, composed, name):
    lines, more, said = BAD[name]
    (tmp_path / "t.csv").write_text("".join(f"{line}\n" for line in lines))
    target = [] if any("data.target" in word for word in more) else ["data.target=y"]
    assert said in refusal(composed, "data=table", f"data.file={tmp_path / 't.csv'}", *target, *more)


def test_a_file_that_cannot_be_read_is_refused(tmp_path, composed):
    (tmp_path / "birds.csv").write_text("x,y\n1,2\n")
    (tmp_path / "latin.csv").write_bytes("Größe,y\n1,2\n".encode("latin-1"))
    (tmp_path / "no.csv.gz").write_bytes(b"not compressed")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"x,y\n" + b"1,2\n" * 999)[:40])
    (tmp_path / "no.parquet").write_bytes(b"not a table")
    (tmp_path / "folder.csv").mkdir()
    expected = {
        "bird.csv": "there is no such file; did you mean birds.csv?",
        "latin.csv": "it is not text in UTF-8",
        "no.csv.gz": "cannot be read",
        "cut.csv.gz": "cannot be read",
        "no.parquet": "cannot be read",
        "folder.csv": "it is no regular file",
    }
    for name, said in expected.items():
        assert said in refusal(composed, "data=table", f"data.file={tmp_path / name}", "data.target=y"), name
    assert "data.file is not named" in refusal(composed, "data=table", "data.target=y")


def test_a_command_with_a_wrong_table_ends_before_torch_is_imported(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,3o\n" + "1,2\n" * 9)
    program = "\n".join(
        [
            "import runpy, sys",
            "sys.argv = sys.argv[1:]",
            "try: runpy.run_path(sys.argv[0], run_name='__main__')",
            "except SystemExit as end: print(end.code, 'torch' in sys.modules)",
        ]
    )
    line = [ROOT / "train.py", "data=table", "data.file=t.csv", "data.target=y"]
    program = "import os; os._exit = sys.exit\n".replace("os;", "os, sys;") + program
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, line)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "2 False\n", done.stderr
    assert (
        done.stderr == "error: data.target=y holds numbers, but row 2 has '3o'; data.task=classes takes all as words\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv"]
