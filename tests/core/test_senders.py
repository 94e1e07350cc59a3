"""Names, numbers and forbidden names."""

import pytest

from chappe.core.impersonated import NAMES
from chappe.core.model import AccountSettings
from chappe.core.senders import has_letter, is_denied, is_forbidden, listed

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


@pytest.mark.parametrize(
    "sender",
    [
        *("INFO AMELI", "AMELI-FR", "AmeliInfo", "1NF0 AM3L1", "InfoCPAM", "CPAM", "C P A M", "CAFalerte", "Mon CAF"),
        *("LaPoste", "LA P0STE", "MaLaPoste", "laposte fr", "Chronopost", "CHR0N0P0ST", "ChronopostX", "DPD Suivi"),
        *(
            "Credit Agri",
            "CreditAgric",
            "SocieteGen",
            "BanquePost",
            "AssuranceMa",
            "IMPOTS",
            "Impots gouv",
            "MesImpots",
        ),
        # what got past the first version of this list
        *("PayPaal", "LAPOSTTE", "Laaposte", "Colisimo", "Collissimo", "Colissirno", "Arnazon", "Arneli", "AMA2ON"),
        *("6oogle", "AMELII", "AAMELI", "Whatsap", "CHRONOPST", "MondialRlay", "Mondial Rlay", "Gendarmeri"),
        *("Ass Maladie", "Assur Malad", "France Conn", "Cred Agri", "impot", "AMENDE", "SocGenerale", "Bouygues"),
        *("AMELIREMB", "REMBAMELI", "DOSSAMELI", "CPAMremb", "SFRmobile", "CICBANQUE", "VISAsecure", "CAFPARIS"),
        *("gouv fr", "CIC info", "LCL", "PayPaI", "Netflix FR", "AMELI24", "CPF", "infos BNP", "SuiviColissimo"),
    ],
)
def test_a_name_that_impostors_use_is_refused_however_it_is_dressed(sender: str) -> None:
    assert is_forbidden(sender, AccountSettings())
    assert not is_forbidden(sender, AccountSettings(senders_protected=False))


@pytest.mark.parametrize(
    "sender",
    [
        *("Boutique", "Amelie", "Chez Amelie", "Cafe Paul", "PRECICE", "Assurance", "Societe X", "France Bleu"),
        *("L Orange", "Posterie", "Banque", "Pharmacie", "Capital", "INFO", "Colis", "Credit", "SHOP", "MaMarque"),
        *("Laporte", "Fortune", "Revolt", "Camelia", "Amel", "CAFF", "Bonne Poste", "Cafe Paris", "Col Privat"),
        *("allmysms", "EXPEDITEUR", "3M France", "Garage UP", "Visage", "Lydie", "Ecafe", "36111", "Dr Dupont"),
    ],
)
def test_names_that_only_resemble_one_stay_free(sender: str) -> None:
    assert not is_forbidden(sender, AccountSettings())


@pytest.mark.parametrize(
    ("settings", "sender", "forbidden"),
    [
        ({"senders_granted": ("La Poste",)}, "LaPoste", False),
        ({"senders_granted": ("la poste",)}, "INFO LAPOSTE", False),
        ({"senders_granted": ("La Poste",)}, "AMELI", True),
        ({"senders_granted": ("Credit Agri",)}, "Credit Agri", False),
        ({"senders_granted": ("BNP",)}, "BNP Paribas", True),
        ({"senders_granted": ("BNP", "BNP Paribas")}, "BNP Paribas", False),
        ({"senders_allowed": ("LaPoste",)}, "LAPOSTE", False),
        ({"senders_allowed": ("LaPoste",)}, "AMELI", True),
        ({"senders_allowed": ("LaPoste",), "senders_denied": ("LaPoste",)}, "LaPoste", True),
        ({"senders_denied": ("Rival",)}, "INFO RIVAL", True),
        ({"senders_denied": ("Rivaux SA",)}, "LesRivauxSA", True),
        ({"senders_denied": ("Rival",)}, "Rivaliser", False),
    ],
)
def test_what_the_operator_grants_or_denies_decides(settings: dict[str, object], sender: str, forbidden: bool) -> None:
    assert is_forbidden(sender, AccountSettings(**settings)) is forbidden  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_the_list_is_known_by_itself(name: str) -> None:
    assert is_forbidden(name, AccountSettings())
    assert not is_forbidden(name, AccountSettings(senders_granted=NAMES))


@pytest.mark.parametrize(
    ("sender", "entry"),
    [("+33700000001", "33700000001"), ("0700000001", "33700000001"), ("shop", "SHOP"), ("36111", "36111"), ("x", "")],
)
def test_a_listed_sender_is_found_in_any_form(sender: str, entry: str) -> None:
    assert listed(sender, ("SHOP", "33700000001", "36111")) == entry
