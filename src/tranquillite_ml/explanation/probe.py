"""A model asked about rows in which some features come from elsewhere: what explanations are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tranquillite_ml.errors import UsageError
from tranquillite_ml.explanation.background import Background
from tranquillite_ml.explanation.contributions import learnt_terms, log_factor
from tranquillite_ml.explanation.groups import feature_clusters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tranquillite_ml.forecasters.learned import LearnedForecaster

    Floats = NDArray[np.float64]
    Masks = NDArray[np.bool_]

_MOST_AT_ONCE = 200_000


@dataclass(frozen=True)
class Probe:
    """Place-periods with their explanation, others to borrow features from, and the model itself.

    Attributes
    ----------
    model : LearnedForecaster
    rows : Background
        Place-periods explained.
    others : Background
        Place-periods features are borrowed from.
    group : ndarray of int64, shape (n_features,)
        Features that rise and fall together are in one group; they are borrowed together.
    """

    model: LearnedForecaster
    rows: Background
    others: Background
    group: NDArray[np.int64]

    @classmethod
    def of(cls, model: LearnedForecaster, rows: Background, others: Background) -> Probe:
        """Group the features and make a probe."""
        return cls(model, rows, others, feature_clusters(others.data))

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1

    def contributions(self, model: LearnedForecaster | None = None) -> Floats:
        """Contribution of each feature to each row, shape (n, n_features), of this or another model.

        Raises
        ------
        UsageError
            If the other model takes other features or lacks the category.
        """
        asked = self.model if model is None else model
        category, table = self.rows.category, self.rows.terms
        if model is not None:
            names = model._features().to_list()  # noqa: SLF001 - the features are compared
            mine = self.model._features().to_list()  # noqa: SLF001 - idem
            if names != mine or category not in model.models_:
                msg = f"models to compare must forecast {category!r} from the same features; {names} came."
                raise UsageError(msg)
        return learnt_terms(asked, category, self.rows.data, table)[0]

    def grouped(self, amounts: Floats) -> Floats:
        """Sum of contributions by group, shape (n, n_groups)."""
        return amounts @ np.eye(self.n_groups)[self.group]

    def score(self, values: NDArray[np.float32]) -> Floats:
        """Log factor the model gives rows of features."""
        names = self.rows.names
        parts = [
            log_factor(self.model, self.rows.category, values[k : k + _MOST_AT_ONCE], names)
            for k in range(0, len(values), _MOST_AT_ONCE)
        ]
        return np.concatenate(parts)

    def borrowed(self, masks: Masks, n_draws: int, rng: np.random.Generator) -> Floats:
        """Mean score of each row once the masked groups are borrowed, shape (n, n_masks).

        Parameters
        ----------
        masks : ndarray of bool, shape (n_masks, n_groups) or (n, n_masks, n_groups)
            Groups that are borrowed, from place-periods of the same hour of the week.
        n_draws : int
            Place-periods borrowed from, one after another, whose scores are averaged.
        rng : Generator
        """
        n = len(self.rows.data)
        wanted = np.broadcast_to(masks, (n, *masks.shape[-2:]))
        total = np.zeros(wanted.shape[:2])
        for _ in range(n_draws):
            lender = self.others.data[self.others.draws(self.rows.slot, rng)]
            for k in range(wanted.shape[1]):
                mixed = np.where(wanted[:, k, self.group], lender, self.rows.data)
                total[:, k] += self.score(mixed)
        return total / n_draws

    def marginal(self, lenders: NDArray[np.int64], n_orders: int, rng: np.random.Generator) -> Floats:
        """Shapley values of the groups against a few lenders, by sampling orders, shape (n, n_groups).

        Notes
        -----
        Each order is walked once forwards and once backwards (antithetic), each walk with one lender a row
        (Strumbelj and Kononenko 2014, doi:10.1007/s10115-013-0679-x). Features are borrowed whatever the
        others are: the interventional game, where the trees' own values follow the data.
        """
        values = self.rows.data
        n, groups = len(values), self.n_groups
        found = np.zeros((n, groups))
        order = np.argsort(rng.random((n_orders, n, groups)), axis=2)
        for walk in (*order, *order[:, :, ::-1]):
            mixed = self.others.data[lenders[rng.integers(len(lenders), size=n)]].copy()
            last = self.score(mixed)
            for step in range(groups):
                turn = walk[:, step]
                mixed = np.where(self.group[None, :] == turn[:, None], values, mixed)
                now = self.score(mixed)
                found[np.arange(n), turn] += now - last
                last = now
        return found / (2 * n_orders)
