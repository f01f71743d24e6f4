"""Writes orders.csv, the table that the notebooks work on: always the same 3000 made-up orders of a web shop."""

from __future__ import annotations

import csv
import datetime
import pathlib
import random

ROWS = 3000
PRODUCTS = {"tea": 6.5, "coffee": 9.0, "cocoa": 7.25, "cup": 12.0, "kettle": 49.0, "mill": 35.5}
COUNTRIES = {"DE": 5, "FR": 4, "IT": 3, "ES": 2, "PT": 1, "SE": 1}


def main() -> None:
    chance = random.Random(2020)
    day = datetime.date(2024, 1, 1)
    file = pathlib.Path(__file__).with_name("orders.csv")
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["order", "date", "country", "product", "quantity", "price"])
        for order in range(1, ROWS + 1):
            country = chance.choices(list(COUNTRIES), weights=list(COUNTRIES.values()))[0]
            product = chance.choice(list(PRODUCTS))
            quantity = chance.choices([1, 2, 3, 4, 10], weights=[50, 25, 15, 8, 2])[0]
            price = PRODUCTS[product] * chance.choice([0.8, 1.0, 1.0, 1.0, 1.1])
            date = day + datetime.timedelta(days=order * 366 // (ROWS + 1))
            table.writerow([order, date.isoformat(), country, product, quantity, f"{price:.2f}"])


if __name__ == "__main__":
    main()
