import pandas as pd
import pytest

from tsbench.contracts import InputError
from tsbench.gluonts.frequency import frequency_of, step_of


@pytest.mark.parametrize("step", ["PT1S", "PT1M", "PT15M", "PT1H", "PT6H", "P1D", "P1W", "P1M", "P3M", "P1Y"])
def test_a_step_becomes_a_frequency_of_pandas_and_comes_back(step):
    frequency = frequency_of(step)

    assert step_of(frequency) == step
    one = pd.Period("2021-03-01", frequency)
    assert step_of(one.freqstr) == step


def test_working_days_have_no_step():
    assert step_of("B") is None


@pytest.mark.parametrize("frequency", ["", "fortnight", "0h", "h1"])
def test_what_is_no_frequency_is_refused(frequency):
    with pytest.raises(InputError, match="is no frequency"):
        step_of(frequency)


def test_a_step_of_several_parts_is_refused():
    with pytest.raises(InputError, match="no frequency for the step P1DT1H"):
        frequency_of("P1DT1H")
