"""Sender names that fraud in France lives on: nobody may use them, nor what looks like them, unless the operator grants
one to an account (`senders_granted`).

The list names whom subscribers expect to write to them, and whose name a stranger has no reason to use. Words that are
in many other names (Free, Orange, colis) are not on it: an operator adds them with `senders_denied`. Sources: what
33700.fr, cybermalveillance.gouv.fr and the banks' own warnings name year after year.
"""

from __future__ import annotations

from typing import Final

HEALTH_AND_STATE: Final = (
    *(
        "AMELI",
        "Assurance Maladie",
        "CPAM",
        "Carte Vitale",
        "Mon Espace Sante",
        "CAF",
        "CNAF",
        "URSSAF",
        "MSA",
        "CARSAT",
    ),
    *(
        "impots",
        "impot",
        "DGFiP",
        "ANTAI",
        "amendes",
        "amende",
        "Tresor Public",
        "FranceConnect",
        "France Travail",
        "Pole Emploi",
    ),
    *("Gendarmerie", "Police Nationale", "Prefecture", "gouv", "Service Public", "Crit Air", "ANTS", "France Titres"),
    *("CPF", "Mon Compte Formation", "Cheque Energie", "MaPrimeRenov", "Assurance Retraite", "Agirc Arrco"),
)
PARCELS: Final = (
    *("La Poste", "Colissimo", "Chronopost", "Mondial Relay", "Relais Colis", "Colis Prive"),
    *("DPD", "DHL", "UPS", "GLS", "FedEx", "Vinted"),
)
BANKS: Final = (
    *("BNP Paribas", "BNP", "Credit Agricole", "Credit Mutuel", "Credit du Nord", "Caisse d Epargne", "Caisse Epargne"),
    *(
        "Banque Postale",
        "Banque Populaire",
        "Banque de France",
        "Societe Generale",
        "Soc Generale",
        "SocGen",
        "LCL",
        "CIC",
        "HSBC",
    ),
    *("Boursorama", "BoursoBank", "Fortuneo", "Hello bank", "Monabanq", "Revolut", "N26", "Nickel", "Orange Bank"),
    *("Cetelem", "Cofidis", "Sofinco", "PayPal", "Lydia", "Visa", "Mastercard"),
)
SHOPS_AND_NETWORKS: Final = (
    *("Amazon", "Netflix", "Disney Plus", "Spotify", "Apple", "iCloud", "Google", "Microsoft", "WhatsApp", "Facebook"),
    *("Instagram", "Leboncoin", "Ulys", "Bip and Go", "SFR", "Bouygues", "Bouygues Telecom", "EDF", "Engie"),
)
NAMES: Final = (*HEALTH_AND_STATE, *PARCELS, *BANKS, *SHOPS_AND_NETWORKS)

COMPANIONS: Final = (
    *("info", "infos", "alerte", "alertes", "alert", "service", "services", "client", "clients", "sms", "fr", "france"),
    *(
        "secu",
        "securite",
        "support",
        "suivi",
        "notif",
        "notification",
        "contact",
        "mon",
        "ma",
        "mes",
        "votre",
        "compte",
    ),
    *(
        "espace",
        "msg",
        "message",
        "avis",
        "urgent",
        "colis",
        "officiel",
        "com",
        "net",
        "www",
        "livraison",
        "livre",
        "gouv",
    ),
    *("banque", "bank", "carte", "mobile", "box", "forfait", "facture", "paiement", "pay", "secure", "my"),
    *("remb", "rembours", "remboursement", "dossier", "doss", "droit", "droits", "paris"),
)
"""Words that an impostor puts before or behind a name: `InfoCPAM`, `CAF-alerte`."""
