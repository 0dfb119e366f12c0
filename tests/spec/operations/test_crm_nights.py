"""A whole night for a CRM, from the company's queries to what ad tools read; addresses stay where they came in."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
from support.nights import NO_GATES, night_of, run_night, write_shop
from support.published_nights import manifest
from support.traces import traces

from pipeline.lake.lake import Lake
from pipeline.operations.erasure.erase import erase_customers

MONDAY = date(2024, 3, 4)
CONTACTS_SQL = "SELECT id AS customer_id, name, email, phone, language FROM contacts"
CONSENTS_SQL = "SELECT id AS customer_id, TRUE AS is_consenting FROM contacts"
AUDIENCE = 'title = "Buyers"\npurpose = "P."\nowner = "O"\nrule = "lifetime_order_count >= 1"\n'
ADA = "ada7f3a"
MAIL, PHONE = "ada.canary@example.org", "0532 765 43 21"


def a_shop(folder: Path) -> Path:
    orders = [f"o-{name},1,{name},2024-03-0{place} 12:00:00,1,10,tea" for place, name in enumerate((ADA, "bob"), 1)]
    shop = write_shop(folder, orders, customers=[ADA, "bob", "cleo"], settings=f'[crm]\nphone_region = "TR"\n{NO_GATES}')
    (shop / "data" / "contacts.csv").write_text(
        f"id,name,email,phone,language\n{ADA},Ada Canary,{MAIL},{PHONE},tr\nnobody,N,n@example.org,,\n"
    )
    for source, query in {"customer_contacts": CONTACTS_SQL, "consents": CONSENTS_SQL}.items():
        (shop / "sources" / f"{source}.sql").write_text(query)
    (shop / "audiences").mkdir()
    (shop / "audiences" / "buyers.toml").write_text(AUDIENCE)
    return shop


def test_addresses_are_published_as_hashes_alone_and_go_with_the_erased(tmp_path: Path, lake: Lake) -> None:
    shop = a_shop(tmp_path / "shop")
    run_night(shop, lake, MONDAY)
    [row] = pq.read_table(lake.root / "current" / "crm_audiences.parquet").to_pylist()
    hashes = {text: hashlib.sha256(text.encode()).hexdigest() for text in (MAIL, "+905327654321")}
    assert row == {
        "customer_id": ADA, "list_name": "buyers", "email_sha256": hashes[MAIL], "phone_sha256": hashes["+905327654321"]
    }  # fmt: skip
    profiles = {each["customer_id"]: each for each in pq.read_table(lake.root / "current" / "crm_profiles.parquet").to_pylist()}
    assert {name: each["is_consenting"] for name, each in profiles.items()} == {ADA: True, "bob": None, "cleo": None}
    assert (profiles[ADA]["language"], profiles["bob"]["language"]) == ("tr", "en")
    assert profiles[ADA]["next_action_title"] == "A: ilk %80"
    assert manifest(lake)["crm"]["customers_without_contacts"] == 2
    assert traces(lake, MAIL) == {"tables/raw_customer_contacts"}
    assert traces(lake, PHONE) == {"tables/raw_customer_contacts", "states"}  # worked out once, and dropped at any time
    erase_customers(night_of(shop, lake, MONDAY).deployment, [ADA])
    assert traces(lake, MAIL) | traces(lake, PHONE) | traces(lake, hashes[MAIL]) | traces(lake, "Ada Canary") == set()
    assert traces(lake, ADA) == {"publications", "segments.sqlite"}  # the tombstones
