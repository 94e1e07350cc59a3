"""Names, numbers and forbidden names."""

import pytest

from chappe.core.senders import has_letter, is_denied

DENIED = ("AMELI", "La Banque")


@pytest.mark.parametrize(("sender", "name"), [("Boutique", True), ("24h", True), ("36111", False), ("12 34", False)])
def test_a_name_has_a_letter(sender: str, name: bool) -> None:
    assert has_letter(sender) is name


@pytest.mark.parametrize("sender", ["AMELI", "ameli", "AM3L1", "A-MELI", "LaBanque", "L4 B4NQUE"])
def test_a_forbidden_name_is_known_in_its_disguises(sender: str) -> None:
    assert is_denied(sender, DENIED)


@pytest.mark.parametrize("sender", ["Amelie", "Banque", "Boutique", ""])
def test_other_names_are_free(sender: str) -> None:
    assert not is_denied(sender, DENIED)
    assert not is_denied(sender, ())
