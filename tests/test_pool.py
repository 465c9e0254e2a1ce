"""The opinion pool: by hand, and no member can forbid a class."""

import numpy as np

from roadworthy.models.pool import Pool
from roadworthy.settings import Baseline


class Says:
    """A member that gives the same probabilities to every message."""

    def __init__(self, *probabilities):
        self.line = np.array(probabilities)

    def predict_proba(self, texts):
        return np.tile(self.line, (len(texts), 1))


def pooled(*members):
    model = Pool(Baseline(architectures=["pool"]), None, 0)
    model.members = members
    return model.predict_proba(["any", "other"])


def test_it_is_the_normalised_geometric_mean():
    found = pooled(Says(0.8, 0.1, 0.1), Says(0.2, 0.6, 0.2))
    mean = np.sqrt([0.16, 0.06, 0.02])
    np.testing.assert_allclose(found, np.tile(mean / mean.sum(), (2, 1)))


def test_no_member_can_forbid_a_class():
    found = pooled(Says(1.0, 0.0), Says(0.0, 1.0))
    np.testing.assert_allclose(found, 0.5)
    assert np.isfinite(pooled(Says(1.0, 0.0), Says(1.0, 0.0))).all()


def test_the_surer_member_decides():
    assert pooled(Says(0.6, 0.4), Says(0.1, 0.9)).argmax(axis=1).tolist() == [1, 1]
