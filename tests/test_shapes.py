"""The check of shapes that runs in all tests."""

import numpy as np
import pytest

from neuronsweep.analysis.scores import confusion


def test_a_shape_that_is_not_the_one_in_the_name_is_found():
    p_NC, y_N = np.eye(3), np.arange(3)
    assert confusion(p_NC, y_N).tolist() == np.eye(3).tolist()
    with pytest.raises(TypeError, match=r"p_NC has the shape \(3,\)"):
        confusion(p_NC[0], y_N)
    with pytest.raises(TypeError, match=r"y_N has the shape \(2,\), others have {.N.: 3"):
        confusion(p_NC, y_N[:2])
