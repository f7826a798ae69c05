"""What people decide teaches the next model, and a model is used only when somebody says so."""

from pathlib import Path

import pytest
from sqlalchemy import select

from reconcile.model import Model, ModelError
from storage import decisions
from storage.models import audit
from storage.search import page
from sync import modelling
from tests.integration.conftest import Company, link
from tests.integration.test_decisions import accept, check_laws, leg_rows, waits

NAMES = ("", "Blue", "Harbour", "Ximenes", "Orchard", "Quarry", "Velvet")


def paid_without_number(company: Company, count: int = 1) -> None:
    """Charges that name nothing; customer, amount and date tell which invoice each pays."""
    for number in range(1, count + 1):
        stripe_customer, customer = company.customer(f"{NAMES[number]} Foods", f"{number}@foods.example")
        company.invoice(customer, 10_000 + number, f"INV-{number}")
        company.pay(stripe_customer, 10_000 + number, "our order")
    company.pass_time(minutes=1)
    company.sync()


def test_a_decision_says_what_was_right_and_who_paid(company: Company) -> None:
    paid_without_number(company)
    detail = waits(company)
    accept(company, detail)
    with company.environment.database.read() as conn:
        labels, aliases = decisions.labels(conn, link(company).id), decisions.aliases(conn, link(company).id)
    assert labels == {"amount": [(detail.candidates[0].probability_ppm, True)]}
    ((payer, customer),) = aliases
    assert payer.startswith("cus_")
    document = detail.candidates[0].parts[0][0]
    assert document is not None
    assert customer == document.customer_id


def test_a_certified_model_accepts_once_it_is_used(company: Company, tmp_path: Path) -> None:
    paid_without_number(company)
    item = waits(company).item
    file = tmp_path / "model.json"
    file.write_text(Model().certified({"amount": 500_000}).to_json())
    company.sync()
    assert not company.ours("Payment"), "a file alone decides nothing"
    modelling.use_model(company.environment, link(company).id, file)
    company.sync()
    assert len(company.ours("Payment")) == 1
    assert {row.state for row in leg_rows(company, item.source_id)} == {"posted"}
    with company.environment.database.read() as conn:
        assert "changed the model" in conn.execute(select(audit.c.action)).scalars().all()
    check_laws(company)
    file.write_text("{}")
    with pytest.raises(ModelError, match="no model"):
        modelling.use_model(company.environment, link(company).id, file)


def test_a_new_model_is_shown_before_it_is_used(
    company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paid_without_number(company, 6)
    link_id = link(company).id
    with pytest.raises(ModelError, match="only 6 charges"):
        modelling.fit_model(company.environment, link_id, 0.001, None)
    monkeypatch.setattr(modelling, "CHARGES_MIN", 1)
    modelling.fit_model(company.environment, link_id, 0.001, None)
    (file,) = (company.environment.data_dir / "models").iterdir()
    assert Model.from_json(file.read_text()).version == file.stem
    assert "It would change" in capsys.readouterr().out
    company.sync()
    assert page(company.environment.database, link_id).total == 6, "nothing was changed by it"
