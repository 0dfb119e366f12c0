"""Which cluster each customer is nearest to, as the statement of a model says it, for tables in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.models.clusters.algorithms import Labels, nearest
from pipeline.models.clusters.model import ClusterModel
from pipeline.models.clusters.preparation import coordinates


def places(table: pa.Table, model: ClusterModel) -> Labels:
    """Return the place among the model's clusters of each customer's; on a tie that with the lowest number."""
    order = sorted(range(len(model.clusters)), key=lambda place: model.clusters[place].number)
    centroids = np.array([model.clusters[place].centroid for place in order])
    return np.asarray(order)[nearest(coordinates(table, model.features), centroids)]
