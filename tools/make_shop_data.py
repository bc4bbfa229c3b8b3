#!/usr/bin/env python3
"""Make the landing files of examples/shop: invented orders of a chain of coffee roasters, the same bytes every time."""

import csv
import random
from datetime import datetime, timedelta
from pathlib import Path

LANDING = Path(__file__).resolve().parent.parent / "examples" / "shop" / "landing"
FIRST_DAY = datetime(2026, 1, 1)
DAYS = 14
CUSTOMERS = 240

FIRST_NAMES = ["Ada", "Amir", "Anna", "Bela", "Carla", "Chen", "Dana", "Dmitri", "Elif", "Emma", "Farid", "Femi", "Grace", "Hana",
               "Hugo", "Ines", "Ivan", "Jonas", "Juana", "Kofi", "Lena", "Lucia", "Mads", "Maya", "Milan", "Nadia", "Noor", "Olu",
               "Pavel", "Petra", "Quinn", "Rosa", "Samir", "Sofia", "Tariq", "Uma", "Vera", "Wen", "Yara", "Zoe"]
LAST_NAMES = ["Almeida", "Bauer", "Costa", "Diallo", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Jensen", "Kaya", "Lindholm",
              "Moreau", "Nowak", "Okafor", "Petrov", "Rossi", "Silva", "Tanaka", "Vargas", "Weber", "Yilmaz"]
CITIES = ["Aarhus", "Bremen", "Ghent", "Graz", "Leeds", "Lyon", "Malmo", "Porto", "Turin", "Utrecht"]

STORES = [(1, "Harbour", "Aarhus"), (2, "Old Market", "Ghent"), (3, "Station", "Utrecht"), (4, "Online", "")]
PRODUCTS = [
    ("ESP-250", "Espresso beans 250 g", "beans", 8.90), ("ESP-1000", "Espresso beans 1 kg", "beans", 29.50),
    ("FIL-250", "Filter beans 250 g", "beans", 9.80), ("FIL-1000", "Filter beans 1 kg", "beans", 33.00),
    ("DEC-250", "Decaf beans 250 g", "beans", 10.40), ("SUB-MON", "Monthly subscription", "subscription", 24.00),
    ("SUB-QTR", "Quarterly subscription", "subscription", 66.00), ("CUP-S", "Espresso cup", "ware", 7.50),
    ("CUP-L", "Mug", "ware", 11.00), ("GRI-H", "Hand grinder", "ware", 64.00), ("FPR-1", "French press", "ware", 31.00),
    ("DRI-V", "Dripper", "ware", 18.50), ("PAP-100", "Filter papers, 100", "ware", 4.20), ("TEA-100", "Green tea 100 g", "tea", 9.20),
    ("TEA-MIN", "Mint tea 50 g", "tea", 5.40), ("CHO-70", "Dark chocolate", "sweets", 4.80), ("BIS-12", "Biscuits, 12", "sweets", 5.60),
    ("GIF-25", "Gift card 25", "gift", 25.00),
]


def write(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)
        out.writerows(rows)


def make_customers(rng):
    customers = {}
    for number in range(1, CUSTOMERS + 1):
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        signed_up = FIRST_DAY - timedelta(days=rng.randint(1, 900), minutes=rng.randint(0, 1439))
        customers[number] = [number, f"{first} {last}", f"{first}.{last}{number}@example.com".lower(), rng.choice(CITIES), "standard",
                             signed_up.strftime("%Y-%m-%d %H:%M:%S")]
    return customers


def main():
    rng = random.Random(20260101)
    prices = {product[0]: product[3] for product in PRODUCTS}
    write(LANDING / "stores.csv", ["store_id", "name", "city"], STORES)
    write(LANDING / "products.csv", ["sku", "name", "category", "price"], [[*p[:3], f"{p[3]:.2f}"] for p in PRODUCTS])

    customer_columns = ["customer_id", "name", "email", "city", "tier", "updated_at"]
    customers = make_customers(rng)
    write(LANDING / "customers" / f"{FIRST_DAY:%Y-%m-%d}.csv", customer_columns, customers.values())

    spent = dict.fromkeys(customers, 0.0)
    open_orders = []
    order_id = 1000
    for day in (FIRST_DAY + timedelta(days=n) for n in range(DAYS)):
        orders, items, changed = [], [], {}
        # Orders of earlier days arrive at the customer, or come back.
        for order in list(open_orders):
            age = day - order["day"]
            if rng.random() < 0.45 or age.days > 4:
                order["status"] = "returned" if rng.random() < 0.06 else "completed"
                order["updated_at"] = day + timedelta(minutes=rng.randint(480, 1200))
                orders.append(order)
                open_orders.remove(order)
        for _ in range(rng.randint(38, 62) + (22 if day.weekday() >= 5 else 0)):
            order_id += 1
            moment = day + timedelta(minutes=rng.randint(420, 1260), seconds=rng.randint(0, 59))
            store = rng.choices([1, 2, 3, 4], [4, 3, 3, 5])[0]
            customer = rng.randint(1, CUSTOMERS) if store == 4 or rng.random() < 0.6 else ""
            order = {"order_id": order_id, "customer_id": customer, "store_id": store, "ordered_at": moment, "day": day,
                     "status": "placed" if store == 4 else "completed", "updated_at": moment}
            orders.append(order)
            if store == 4:
                open_orders.append(order)
            for line, sku in enumerate(rng.sample(sorted(prices), rng.choices([1, 2, 3, 4], [6, 4, 2, 1])[0]), 1):
                quantity = rng.choices([1, 2, 3], [8, 2, 1])[0]
                items.append([order_id, line, sku, quantity, f"{prices[sku]:.2f}"])
                if customer:
                    spent[customer] += quantity * prices[sku]
        for number, row in customers.items():
            moved = rng.random() < 0.006
            tier = "gold" if spent[number] > 180 else "silver" if spent[number] > 90 else "standard"
            if moved or tier != row[4]:
                changed[number] = [*row[:3], rng.choice(CITIES) if moved else row[3], tier,
                                   (day + timedelta(hours=22)).strftime("%Y-%m-%d %H:%M:%S")]
        customers.update(changed)
        landed = f"{day + timedelta(days=1):%Y-%m-%d}.csv"  # a day's files land when the day is over
        write(LANDING / "orders" / landed, ["order_id", "customer_id", "store_id", "ordered_at", "status", "updated_at"],
              [[o["order_id"], o["customer_id"], o["store_id"], f"{o['ordered_at']:%Y-%m-%d %H:%M:%S}", o["status"],
                f"{o['updated_at']:%Y-%m-%d %H:%M:%S}"] for o in orders])
        write(LANDING / "order_items" / landed, ["order_id", "line", "sku", "quantity", "unit_price"], items)
        write(LANDING / "customers" / landed, customer_columns, changed.values())


if __name__ == "__main__":
    main()
