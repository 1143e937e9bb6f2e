"""Time-300B's binary sets, the other formats, and windows (time_moe.md, "Task and data")."""

import gzip
import json
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tsbench.contracts import InputError
from tsbench.data.sequences.binary import BinarySet, write_binary
from tsbench.data.sequences.formats import InMemory, Normalised, open_sequences
from tsbench.models.time_moe.corpus.windows import PackedWindows, PaddedWindows

FINITE = st.floats(-1e4, 1e4, width=32)
SEQUENCES = st.lists(arrays(np.float32, st.integers(0, 12), elements=FINITE), max_size=6)


def rows(*lengths: int) -> InMemory:
    """Sequences that count on through all of them."""
    ends = np.cumsum([0, *lengths])
    return InMemory([np.arange(a, b, dtype=np.float32) for a, b in pairwise(ends)])


class TestBinarySets:
    @settings(max_examples=60)
    @given(sequences=SEQUENCES, file_elements=st.integers(1, 20), scaled=st.booleans())
    def test_they_make_the_round_trip(self, tmp_path_factory, sequences, file_elements, scaled):
        folder = tmp_path_factory.mktemp("set") / "binary"

        write_binary(folder, sequences, file_elements=file_elements, scaled=scaled)
        found = BinarySet(folder)

        assert found.lengths.tolist() == [len(one) for one in sequences]
        for index, one in enumerate(sequences):
            tolerance = 1e-5 * np.abs(one).max(initial=0) if scaled else 0
            np.testing.assert_allclose(found.read(index), one, atol=tolerance, rtol=0)
            for start in range(len(one) + 1):
                np.testing.assert_array_equal(
                    found.read(index, start, start + 3), found.read(index)[start : start + 3]
                )

    def test_a_sequence_lies_across_files_with_mean_and_std(self, tmp_path):  # point 6, written by hand
        np.arange(5, dtype=np.float32).tofile(tmp_path / "data-2-of-2.bin")
        np.arange(10, 14, dtype=np.float32).tofile(tmp_path / "data-1-of-2.bin")
        scales = [
            {"offset": 2, "length": 4, "mean": 100.0, "std": 2.0},
            {"offset": 0, "length": 9, "mean": 1.0},
        ]
        meta = {"num_sequences": 2, "dtype": "float32", "scales": scales}
        meta["files"] = {"data-2-of-2.bin": 5, "data-1-of-2.bin": 4}
        (tmp_path / "meta.json").write_text(json.dumps(meta))

        found = BinarySet(tmp_path)

        assert found.read(0).tolist() == [124, 126, 100, 102]
        assert found.read(1).tolist() == [
            10,
            11,
            12,
            13,
            0,
            1,
            2,
            3,
            4,
        ]  # a mean without std counts for nothing

    def test_files_are_ordered_by_number(self, tmp_path):
        write_binary(tmp_path / "set", [np.arange(12.0)], file_elements=1)

        assert BinarySet(tmp_path / "set").read(0).tolist() == list(range(12))

    @pytest.mark.parametrize("dtype", ["float16", "float64", "int16", "uint8"])
    def test_they_hold_other_types(self, tmp_path, dtype):
        write_binary(tmp_path / "set", [np.array([1, 2, 200])], dtype=dtype)

        assert BinarySet(tmp_path / "set").read(0).tolist() == [1, 2, 200]
        assert BinarySet(tmp_path / "set").read(0).dtype == dtype

    @pytest.mark.parametrize(
        ("options", "sequence", "message"),
        [
            ({"dtype": "object"}, [1.0], "a binary set cannot hold 'object'; there are float16"),
            ({"dtype": "float16"}, [1e6], "sequence 0 does not fit float16"),
            ({"dtype": "uint8"}, [-1], "sequence 0 does not fit uint8"),
            ({"dtype": "int32"}, [0.5], "sequence 0 does not fit int32"),
            ({"scaled": True}, [1.0, np.nan], "sequence 0 cannot be scaled: it is not finite"),
            ({}, [[1.0]], r"sequence 0 must be one row of numbers, not float64 \(1, 1\)"),
            ({}, ["a"], "sequence 0 must be one row of numbers"),
            ({"file_elements": 0}, [1.0], "a file must take at least one number, not 0"),
        ],
    )
    def test_what_they_cannot_hold_is_refused_and_leaves_nothing(self, tmp_path, options, sequence, message):
        with pytest.raises(InputError, match=message):
            write_binary(tmp_path / "set", [np.array(sequence)], **options)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"dtype": "object"}, "dtype must be one of float16, .*, not 'object'"),
            ({"dtype": None}, "dtype must be given, as str"),
            ({"num_sequences": 3}, "num_sequences is 3, scales has 1"),
            ({"files": {"data-1-of-1.bin": 11}}, r"has 40 bytes; 11 numbers of float32 are 44"),
            ({"files": {"data-1-of-1.bin": 9}}, r"has 40 bytes; 9 numbers of float32 are 36"),
            ({"files": {"data-1-of-1.bin": -1}}, "data-1-of-1.bin cannot hold -1 numbers"),
            ({"files": {"data-2-of-1.bin": 10}}, "names data-2-of-1.bin, which is not there"),
            ({"files": {"../data-1-of-1.bin": 10}}, "the file name '../data-1-of-1.bin' is not like"),
            ({"files": {"data-1-of-1.bin": 10, "data-01.bin": 1}}, "have the same number"),
            ({"files": {"data.bin": 10}}, "the file name 'data.bin' is not like data-1-of-2.bin"),
            ({"scales": [{"offset": 0, "length": 11}]}, r"scales\[0\] ends at 11; the files hold 10 numbers"),
            ({"scales": [{"offset": 2**61, "length": 2**61}]}, r"scales\[0\] ends at"),
            (
                {"scales": [{"offset": -1, "length": 2}]},
                r"scales\[0\]: offset and length must be whole numbers",
            ),
            (
                {"scales": [{"offset": 0, "length": 2.0}]},
                r"scales\[0\]: offset and length must be whole numbers",
            ),
            (
                {"scales": [{"offset": 0}]},
                r"scales\[0\]: offset and length must be whole numbers, not 0 and None",
            ),
            ({"scales": [3]}, r"scales\[0\] must be an object with offset and length"),
            (
                {"scales": [{"offset": 0, "length": 1, "mean": "a", "std": 1}]},
                "mean and std must be finite numbers",
            ),
            (
                {"scales": [{"offset": 0, "length": 1, "mean": 0, "std": float("nan")}]},
                "must be finite numbers",
            ),
            ({"scales": [{"offset": 0, "length": 1, "mean": 0, "std": 10**400}]}, "must be finite numbers"),
        ],
    )
    def test_malformed_ones_are_refused_before_anything_is_read(self, tmp_path, changes, message):
        write_binary(tmp_path / "set", [np.arange(10.0)])
        path = tmp_path / "set" / "meta.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

        with pytest.raises(InputError, match=message):
            BinarySet(tmp_path / "set")

    @pytest.mark.parametrize(
        ("text", "message"),
        [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "num_sequences must be")],
    )
    def test_a_damaged_meta_file_is_refused(self, tmp_path, text, message):
        (tmp_path / "meta.json").write_text(text)

        with pytest.raises(InputError, match=message):
            BinarySet(tmp_path)

    def test_a_folder_without_meta_file_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="There is no file .*meta.json"):
            BinarySet(tmp_path)


class TestOtherFormats:
    LISTS = [[1.0, 2.0], [3.0, 4.0]]

    @pytest.fixture
    def folder(self, tmp_path):
        array = np.array(self.LISTS)
        (tmp_path / "a.json").write_text(json.dumps([self.LISTS[0], {"sequence": self.LISTS[1]}]))
        (tmp_path / "b.jsonl").write_text('{"sequence": [1, 2]}\n\n{"sequence": [3, 4]}\n')
        (tmp_path / "c.yaml").write_text("- [1, 2]\n- sequence: [3.0, 4]\n")
        np.save(tmp_path / "d.npy", array)
        np.savez(tmp_path / "e.npz", one=array[0], other=array[1:])
        with gzip.open(tmp_path / "f.npy.gz", "wb") as file:
            np.save(file, array)
        return tmp_path

    @pytest.mark.parametrize("name", ["a.json", "b.jsonl", "c.yaml", "d.npy", "e.npz", "f.npy.gz"])
    def test_each_is_read(self, folder, name):
        found = open_sequences(folder / name)

        assert found.lengths.tolist() == [2, 2]
        assert [found.read(index).tolist() for index in range(2)] == self.LISTS

    def test_a_folder_is_the_concatenation_of_its_files_and_binary_sets(self, folder):
        write_binary(folder / "z" / "set", [np.array([7.0, 8.0, 9.0])])
        (folder / "z" / "x.json").write_text("[[5]]")
        (folder / "README.md").write_text("not a sequence")

        found = open_sequences(folder)

        assert found.lengths.tolist() == [2] * 12 + [3, 1]
        assert found.read(1).tolist() == [3, 4]
        assert found.read(11, 1).tolist() == [4]
        assert found.read(12, 1, 3).tolist() == [8, 9]
        assert found.read(13).tolist() == [5]

    @pytest.mark.parametrize("name", ["a.pkl", "a.pickle"])
    def test_pickles_are_refused_with_what_to_do(self, tmp_path, name):
        (tmp_path / name).write_bytes(pickle.dumps([[1.0]]))

        for path in (tmp_path / name, tmp_path):
            with pytest.raises(InputError, match="is a pickle, .* not opened; write the sequences as .jsonl"):
                open_sequences(path)

    def test_arrays_of_objects_are_refused(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array([[1.0], [1.0, 2.0]], dtype=object))

        with pytest.raises(InputError, match="a.npy cannot be read: Object arrays cannot be loaded"):
            open_sequences(tmp_path / "a.npy")

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("a.json", "[[1, 2]", "a.json cannot be read"),
            ("a.json", "[" * 100_000, "a.json cannot be read"),
            ("a.json", '{"sequence": [1]}', "a.json must hold a list of sequences"),
            ("a.json", "[[1], [true]]", "item 1 is neither a list of numbers nor an object"),
            ("a.json", "[[1, null]]", "item 0 is neither"),
            ("a.json", "[[[1]]]", "item 0 is neither"),
            ("a.json", "[[1, [2]]]", "item 0 is neither"),
            ("a.json", '[{"values": [1]}]', "item 0 is neither"),
            ("a.jsonl", '{"sequence": "12"}', "item 0 is neither"),
            ("a.yaml", "- !!python/object/apply:os.getcwd []", "a.yaml cannot be read"),
            ("a.npy", "text", "a.npy cannot be read"),
            ("a.npz", "text", "a.npz cannot be read"),
            ("a.npy.gz", "text", "a.npy.gz cannot be read"),
            ("a.csv", "1,2", "a.csv is none of .json, .jsonl"),
        ],
    )
    def test_damaged_files_are_refused(self, tmp_path, name, text, message):
        (tmp_path / name).write_text(text)

        with pytest.raises(InputError, match=message):
            open_sequences(tmp_path / name)

    def test_a_cut_archive_is_refused(self, folder):
        for name in ("e.npz", "f.npy.gz", "d.npy"):
            data = (folder / name).read_bytes()
            (folder / name).write_bytes(data[: len(data) // 2])
            with pytest.raises(InputError, match=f"{name} cannot be read"):
                open_sequences(folder / name)

    def test_a_missing_file_and_an_empty_folder_are_named(self, tmp_path):
        with pytest.raises(InputError, match="There is no file .*a.json"):
            open_sequences(tmp_path / "a.json")
        with pytest.raises(InputError, match="holds no sequences"):
            open_sequences(tmp_path)


class TestNormalisation:
    def test_zero_takes_out_mean_and_population_deviation_of_the_whole(self):
        source = InMemory([np.array([1.0, 2.0, 3.0, 6.0])])
        found = Normalised(source)

        np.testing.assert_allclose(found.read(0), (source.read(0) - 3) / np.sqrt(3.5), rtol=1e-6)
        np.testing.assert_array_equal(found.read(0, 1, 3), found.read(0)[1:3])

    def test_a_constant_is_only_centred(self):
        assert Normalised(InMemory([np.full(3, 5.0)])).read(0).tolist() == [0, 0, 0]

    def test_max_divides_by_the_largest_magnitude(self):
        assert Normalised(InMemory([np.array([1.0, -4.0])]), "max").read(0).tolist() == [0.25, -1]
        assert Normalised(InMemory([np.zeros(2)]), "max").read(0).tolist() == [0, 0]

    def test_none_leaves_values(self):
        assert Normalised(InMemory([np.array([1.0, -4.0])]), "none").read(0).tolist() == [1, -4]


class TestWindows:
    @settings(max_examples=100)
    @given(
        lengths=st.lists(st.integers(0, 30), max_size=5), size=st.integers(1, 12), stride=st.integers(1, 12)
    )
    def test_padded_ones_follow_the_rule_of_the_sheet(self, lengths, size, stride):
        source, expected = rows(*lengths), []
        for number, length in enumerate(lengths):
            starts = [start for start in range(0, length, stride) if start + size + 1 <= length]
            starts = starts or ([0] if length >= 2 else [])
            expected += [source.sequences[number][start : start + size + 1] for start in starts]

        windows = PaddedWindows(source, size, stride)

        assert len(windows) == len(expected)
        for index, values in enumerate(expected):
            window, real = windows[index], len(values) - 1
            assert window.inputs[: real + 1].tolist() == values[:size].tolist()
            assert window.labels[:real].tolist() == values[1:].tolist()
            assert window.labels[real:].tolist() == [0] * (size - real)
            assert window.mask.tolist() == [True] * real + [False] * (size - real)

    @settings(max_examples=100)
    @given(lengths=st.lists(st.integers(0, 30), max_size=5), points=st.integers(2, 12))
    def test_packed_ones_join_all_sequences_without_a_gap(self, lengths, points):
        windows = PackedWindows(rows(*lengths), points)

        assert len(windows) == sum(lengths) // points
        for index in range(len(windows)):
            values = list(range(index * points, (index + 1) * points))
            window = windows[index]
            assert window.inputs.tolist() == values[:-1]
            assert window.labels.tolist() == values[1:]
            assert window.mask.all()
            assert len(window.mask) == points - 1

    def test_there_is_no_window_beyond_the_last(self):
        for windows in (PaddedWindows(rows(10), 4), PackedWindows(rows(10), 4)):
            assert len(windows) == 2
            for index in (-1, 2):
                with pytest.raises(IndexError, match=f"there are 2 windows, not one {index}"):
                    windows[index]

    def test_sizes_that_make_no_window_are_refused(self):
        for size, stride in ((0, 1), (1, 0)):
            with pytest.raises(InputError, match=f"a positive size and stride, not {size} and {stride}"):
                PaddedWindows(rows(3), size, stride)
        with pytest.raises(InputError, match="packed windows need at least 2 points, not 1"):
            PackedWindows(rows(3), 1)
