"""The arena's figures as tables: on the screen, in README.md, benchmarks/README.md and the model card."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

SHOWN_CITY = "paris"  # in README.md
NAMES = {
    "mlforecast": "mlforecast with LightGBM, as in its guide",
    "mstl": "MSTL (statsforecast)",
    "autoets": "AutoETS (statsforecast)",
    "prophet": "Prophet",
    "similar_days": "mean of similar days",
    "value_168h_before": "value of a week earlier",
    "same_hour_4w_mean": "mean of the same hour in four weeks",
    "predecessor_forest": "the predecessor's forest",
}
OWN = "Velocast"
HEADS = ("", "R2", "RMSE", "WAPE", "covered", "Winkler", "CPU s a week", "MB")
FORMATS = (
    ("r2", ".3f"),
    ("rmse", ".1f"),
    ("wape", ".1%"),
    ("coverage", ".1%"),
    ("winkler", ",.0f"),
)
WEEK = 7  # days, and origins
MANY_SECONDS = 100  # fewer have two significant digits


def screen_tables(figures: dict[str, Any]) -> list[Table]:
    """Return a table for each city: all rows, then each forecaster beside Velocast on its own rows."""
    tables = []
    for city in figures["cities"]:
        table = Table(title=heading(city), box=box.SIMPLE, width=80, title_justify="left")
        for name in HEADS:
            table.add_column(name, justify="right" if name else "left")
        for row in city_rows(city):
            table.add_row(*row)
        tables.append(table)
    return tables


def heading(city: dict[str, Any]) -> str:
    """Return a city's name and what was forecast."""
    return (
        f"{city['name']}, {city['weeks']} weeks to {city['last_origin_at'][:10]}: "
        f"{city['rows']:,} forecasts, {city['counters']} counters, {city['origins']} origins"
    )


def city_rows(city: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the rows of a city's table, in the order of HEADS: CPU seconds are those of a fit and a week's forecasts.

    The cost of the features that Velocast and most references read is shown below it, because they are read only once.
    """
    rows: list[tuple[str, ...]] = []
    for model in city["models"]:
        rows.append(_own_row(display_name(model["name"]), model))
        if rows[-1][0] == OWN:
            rows.append(_seconds_row("– features for it and similar days", city["features"]))
            if "with weather" in city:
                weather = city["with weather"]
                rows.append(_own_row(f"{OWN}, with weather", weather))
                rows.append(_seconds_row("– features, with weather", weather["features"]))
    for found in city["outside"]:
        rows += _outside_rows(found, city["origins"])
    return rows


def display_name(name: str) -> str:
    """Return how tables call a model."""
    return NAMES.get(name, OWN)


def _outside_rows(found: dict[str, Any], origins: int) -> list[tuple[str, ...]]:
    """Return a forecaster, and beside it Velocast on the same rows."""
    name = found["name"]
    rows: list[tuple[str, ...]] = []
    for model in found["models"]:
        if model["name"] == name:
            title = f"{display_name(name)}, {found['rows']:,} forecasts"
            if found["asked_origins"] < origins:
                title += f" of {found['counters']} counters from {found['origins']} origins"
            seconds = found["cpu_seconds"]
            of_week = None if seconds is None else seconds * WEEK / found["cpu_origins"]
            rows.insert(0, _row(title, model, of_week, found["peak_mb"]))
        elif model["name"] not in NAMES:
            rows.append(_row(f"– {OWN} on the same", model, None, None))
    return rows or [(f"{display_name(name)}: failed", *[""] * (len(HEADS) - 1))]


def _own_row(name: str, model: dict[str, Any]) -> tuple[str, ...]:
    """Return the row of a model of the city's own backtest."""
    return _row(name, model, _a_week(model["spent"]), model["fit_peak_mb"])


def _seconds_row(name: str, spent: dict[str, Any] | None) -> tuple[str, ...]:
    return (name, *[""] * len(FORMATS), _seconds(_a_week(spent)), "")


def _a_week(spent: dict[str, Any] | None) -> float | None:
    """Return the CPU seconds of one fit and of a week's forecasts, None where they are not known."""
    if spent is None:
        return None
    fit, forecast = (float(spent[part]["cpu_seconds"]) for part in ("fit", "forecast"))
    return fit / int(spent["fits"]) + forecast / int(spent["weeks"])


def _row(
    name: str, model: dict[str, Any], seconds: float | None, memory: float | None
) -> tuple[str, ...]:
    scores = (_number(model[key], form) for key, form in FORMATS)
    return (name, *scores, _seconds(seconds), _number(memory, ","))


def _seconds(seconds: float | None) -> str:
    return _number(seconds, ",.0f" if seconds is None or seconds >= MANY_SECONDS else ".2g")


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form).replace("%", " %")


def readme_lines(figures: dict[str, Any]) -> list[str]:
    """Return README.md's text and table: the models in one city on all of its rows, and in short in the others.

    Nothing without that city's figures.
    """
    city = next((city for city in figures["cities"] if city["city"] == SHOWN_CITY), None)
    if city is None:
        return []
    others = [other for other in figures["cities"] if other is not city]
    models = _on_all_rows(city)
    own, weather = models.pop(OWN), city.get("with weather")
    named = [(f"{OWN}, without weather", own, OWN)]
    named += [(f"{OWN}, weather as uncertain as a forecast", weather, "")] if weather else []
    best_first = sorted(models.items(), key=lambda item: float(item[1]["rmse"]))
    named += [(name, model, name) for name, model in best_first]
    heads = ["", "R2", "RMSE", "WAPE", "90 % interval: coverage, width"]
    heads += [f"{other['name']}: R2, RMSE" for other in others]
    elsewhere = [_on_all_rows(other) for other in others]
    return [
        f"On a year of Paris's counts ({city['counters']} counters): one forecast at the start of each of "
        f"{city['origins']} days, trained again every week, scored on the",
        f"first three days of each forecast ({city['rows']:,} hours, the same for all{_lacking(city)}):",
        "",
        _line(tuple(heads)),
        "|---" * len(heads) + "|",
        *(
            _line((name, *_in_full(model), *(_in_short(found.get(key)) for found in elsewhere)))
            for name, model, key in named
        ),
        *_on_other_rows(city),
    ]


def _on_all_rows(city: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the models that were asked for all rows of a city, by the name that tables give them."""
    models = {display_name(model["name"]): model for model in city["models"]}
    models.pop(NAMES["same_hour_4w_mean"], None)
    for found in city["outside"]:
        theirs = [model for model in found["models"] if model["name"] == found["name"]]
        if theirs and found["asked"] == city["rows"]:
            models[display_name(found["name"])] = theirs[0]
    return models


def _on_other_rows(city: dict[str, Any]) -> list[str]:
    """Return a sentence for each forecaster of a city that was compared on other rows than all of them."""
    lines = []
    for found in city["outside"]:
        theirs = [model for model in found["models"] if model["name"] == found["name"]]
        ours = [model for model in found["models"] if display_name(model["name"]) == OWN]
        if theirs and ours and found["asked"] != city["rows"]:
            name = display_name(found["name"])
            lines += [
                "",
                f"On {found['rows']:,} hours of {found['counters']} counters and {found['origins']} days, R2 and RMSE "
                f"are {_in_short(theirs[0])} for {name},",
                f"and {_in_short(ours[0])} for {OWN}.",
            ]
    return lines


def _lacking(city: dict[str, Any]) -> str:
    """Return which models lack some of the rows of a city that they were asked for."""
    told = [
        f"; {found['name']} lacks {found['lacking']:,} of them"
        for found in city["outside"]
        if found["models"] and found["asked"] == city["rows"] and found["lacking"]
    ]
    return "".join(told)


def _in_full(model: dict[str, Any]) -> tuple[str, ...]:
    interval = ""
    if model["coverage"] is not None:
        interval = f"{model['coverage']:.0%}, {model['width']:.0f} bikes"
    cells = (f"{model['r2']:.3f}", f"{model['rmse']:.1f}", f"{model['wape']:.0%}", interval)
    return tuple(cell.replace("%", " %") for cell in cells)


def _in_short(model: dict[str, Any] | None) -> str:
    return "" if model is None else f"{model['r2']:.3f}, {model['rmse']:.1f}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def benchmark_lines(figures: dict[str, Any]) -> list[str]:
    """Return the tables of benchmarks/README.md, one for each city."""
    lines: list[str] = []
    for city in figures["cities"]:
        lines += ["", f"| {heading(city)} | {' | '.join(HEADS[1:])} |", "|---" * len(HEADS) + "|"]
        lines += [_line(row) for row in city_rows(city)]
    return lines[1:]


def card_lines(figures: dict[str, Any]) -> list[str]:
    """Return the model card's table: the default model in each city, beside the best of what was asked for all rows."""
    heads = (
        "",
        "hours",
        "R2",
        "RMSE",
        "WAPE",
        "90 % interval: coverage, width",
        "best other: R2, RMSE",
    )
    lines = [_line(heads), "|---" * len(heads) + "|"]
    for city in figures["cities"]:
        models = _on_all_rows(city)
        own = models.pop(OWN)
        name, best = min(models.items(), key=lambda item: float(item[1]["rmse"]))
        other = f"{_in_short(best)} ({name})"
        lines.append(_line((city["name"], f"{city['rows']:,}", *_in_full(own), other)))
        if "with weather" in city:
            title = f"{city['name']}, weather as uncertain as a forecast"
            lines.append(_line((title, f"{city['rows']:,}", *_in_full(city["with weather"]), "")))
    return lines


def documents(figures: dict[str, Any]) -> dict[str, list[str]]:
    """Return the lines that belong in each document."""
    return {
        "README.md": readme_lines(figures),
        "benchmarks/README.md": benchmark_lines(figures),
        "docs/model-card.md": card_lines(figures),
    }
