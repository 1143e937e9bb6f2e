"""How a task divides its data into training, validation and test part: by rows, by shares, or by labels."""

from typing import Literal

from pydantic import Field, model_validator

from .strict import Strict


class Split(Strict):
    """Chronological borders, in rows (`rows`) or shares of all rows (`ratio`).

    For `ratio`, train = int(train · n) and test = int(test · n) rows; validation takes what is left, and
    rows are used to the end. For `rows`, what follows the test rows is not used.
    """

    kind: Literal["rows", "ratio"]
    train: float = Field(gt=0)
    validation: float = Field(ge=0)
    test: float = Field(gt=0)

    @model_validator(mode="after")
    def _check(self) -> "Split":
        total = self.train + self.validation + self.test
        if self.kind == "ratio" and abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of a ratio split must sum to 1, not {total:g}")
        if self.kind == "rows" and any(
            value != int(value) for value in (self.train, self.validation, self.test)
        ):
            raise ValueError("a split in rows needs whole numbers")
        return self

    def borders(self, rows: int) -> tuple[int, int, int]:
        """First row after the training, the validation and the test part.

        Raises:
            ValueError: where the data set has fewer rows than the split asks for.
        """
        if self.kind == "rows":
            train, validation, test = int(self.train), int(self.validation), int(self.test)
            if train + validation + test > rows:
                raise ValueError(f"the split needs {train + validation + test} rows, the data have {rows}")
            return train, train + validation, train + validation + test
        train, test = int(self.train * rows), int(self.test * rows)
        return train, rows - test, rows


class LabelledSplit(Strict):
    """Parts of a store of independent samples, by the label that a coordinate gives each sample.

    `test` is the part of the regular condition; a grid of scenarios may name another (`ScenarioGrid.part`).
    """

    kind: Literal["labels"]
    coordinate: str = "split"
    train: str = "train"
    validation: str = "validation"
    test: str
