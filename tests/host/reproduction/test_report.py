import csv
import io

from PIL import Image
from rich.console import Console

from host.report.reproduction import CSV_COLUMNS, accuracy_csv, pictures, reproduction_record, reproduction_table
from host.reproduction.summary import summarise
from inspection.accuracy import auc

from .results import experiment


def shown(width: int = 80) -> str:
    console = Console(file=(file := io.StringIO()), width=width)
    console.print(reproduction_table(summarise(experiment()), {}))
    return file.getvalue()


def test_the_table_fits_eighty_columns_and_has_a_line_for_each_rate() -> None:
    said = shown()
    assert max(map(len, said.splitlines())) <= 80
    assert all(word in said for word in ("control", "retrained", "narrow", "90 %", "0.875", "0.000"))


def test_all_figures_follow_from_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(accuracy_csv(experiment()))))
    assert tuple(rows[0]) == CSV_COLUMNS
    chosen = [row for row in rows if (row["seed"], row["model"], row["rate"]) == ("0", "rate", "0.9")]
    again = auc([float(row["smoothed"]) for row in chosen], [row["defective"] == "1" for row in chosen])
    assert again == 0.75
    assert len(rows) == 10 * 4


def test_the_picture_is_one_and_the_record_is_plain() -> None:
    made = pictures(summarise(experiment()), {})
    assert list(made) == ["auc.png"]
    with Image.open(io.BytesIO(made["auc.png"])) as picture:
        assert picture.width > 800
    record = reproduction_record(summarise(experiment()), {})
    assert [each["kind"] for each in record["rates"]] == ["control", "rate", "narrow"]
