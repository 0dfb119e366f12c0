"""What a step wrote goes to OpenLineage: where its provider is installed and has a transport, and nowhere else.

Airflow's provider tells by itself when a task of ours began and ended, and knows no table of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline.operations.night import Night

if TYPE_CHECKING:
    from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset

    from pipeline.reporting.lineage.graph import Field
    from pipeline.reporting.lineage.outputs import StepOutput

log = logging.getLogger("pipeline.airflow")
PROVIDER = "airflow.providers.openlineage"
FILES = "file"  # the namespace of paths, as OpenLineage names datasets


def emit_step_lineage(step: str, night: Night) -> None:
    """Send what `step` wrote in the night. What fails is logged: lineage never fails a night."""
    if find_spec(PROVIDER) is None:
        return
    try:
        from airflow.providers.openlineage.api import emit_dataset_lineage, is_openlineage_active

        if night.is_restatement or not is_openlineage_active():
            return
        from pipeline.reporting.lineage.outputs import step_outputs

        outputs = step_outputs(night.deployment.company, night.lake, step, night.day)
        if outputs:
            emit_dataset_lineage(inputs=_input_datasets(night, outputs), outputs=[_output_dataset(night, each) for each in outputs])
    except Exception as error:  # noqa: BLE001 - whatever it is, the night has done its work
        log.warning("no lineage of %s was sent: %s", step, type(error).__name__)


def _input_datasets(night: Night, outputs: Iterable[StepOutput]) -> list[InputDataset | Dataset]:
    from openlineage.client.event_v2 import InputDataset

    fields = {each for output in outputs for inputs in (*output.fields.values(), output.rows) for each in inputs}
    names = [_table_name(night, name) for name in sorted({each.table for each in fields})]
    return [InputDataset(namespace=namespace, name=name) for namespace, name in names]


def _output_dataset(night: Night, output: StepOutput) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import column_lineage_dataset, output_statistics_output_dataset, schema_dataset, symlinks_dataset

    def input_field(field: Field, *, is_value: bool) -> column_lineage_dataset.InputField:
        way = ("DIRECT", "TRANSFORMATION") if is_value else ("INDIRECT", "FILTER")
        transformation = column_lineage_dataset.Transformation(type=way[0], subtype=way[1])
        return column_lineage_dataset.InputField(*_table_name(night, field.table), field.column, [transformation])

    columns = [
        schema_dataset.SchemaDatasetFacetFields(column.name, str(column.kind.arrow), column.description, place)
        for place, column in enumerate(output.columns, 1)
    ]
    lineage = column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            name: column_lineage_dataset.Fields([input_field(each, is_value=is_value) for each, is_value in inputs.items()])
            for name, inputs in output.fields.items()
        },
        dataset=[input_field(each, is_value=False) for each in output.rows],
    )
    # The same rows under another name, which is what OpenLineage calls a link.
    links = symlinks_dataset.SymlinksDatasetFacet([symlinks_dataset.Identifier(output.catalog, output.catalog_table, "TABLE")])
    namespace, name = _dataset_name(night, output.address)
    return OutputDataset(
        namespace=namespace,
        name=name,
        facets={"schema": schema_dataset.SchemaDatasetFacet(columns)}
        | ({"columnLineage": lineage} if output.fields else {})
        | ({"symlinks": links} if output.catalog else {}),
        outputFacets={"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=output.row_count)},
    )


def _table_name(night: Night, name: str) -> tuple[str, str]:
    """Return the namespace and the name of a table."""
    from pipeline.reporting.lineage.outputs import table_address

    return _dataset_name(night, table_address(name))


def _dataset_name(night: Night, address: str) -> tuple[str, str]:
    """Return namespace and name of what is at an address, as OpenLineage names datasets: of a bucket, or of a file."""
    parts = urlsplit(night.lake.where(address))
    return (f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/")) if parts.scheme == "s3" else (FILES, night.lake.where(address))
