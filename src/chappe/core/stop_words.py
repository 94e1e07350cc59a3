"""What subscribers write when they want no more messages: words, typing errors, sentences. Data.

docs/users/en/stop.md says why.

All entries are folded (see core/folding.py): lower case, no accents, no punctuation. French first, then English and the
other languages that are likely in France. A word is one entry, a sentence one pattern.
"""

from typing import Final


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


STOP_WORDS: Final = (
    *_words("stop stops stope stoped stopes stopez stoper stoppe stopped stoppes stopper stoppez stopping stopsms"),
    *_words("arret arrets arrete arretes arreter arretez arretee aret arett arrett arete areter aretez arette arrette"),
    *_words("arretter arrettez arettez unsubscribe optout nopub"),
    *("stop sms", "opt out", "no pub"),
    # Dutch, German, Italian, Spanish, Portuguese
    *_words("afmelden uitschrijven abmelden abbestellen disiscrivi disiscrivimi cancellami desuscribir parem"),
    *_words("desinscrever descadastrar"),
    *("dar de baja", "darme de baja", "deme de baja", "dame de baja"),
    # Arabic: stop, halt, enough, cancel the subscription; Russian; Greek; Hebrew: remove
    *_words("قف توقف توقفوا اوقف اوقفوا ايقاف وقف كفى كفي стоп στοπ הסר"),
    *("الغاء الاشتراك",),
)
"""A reply that begins with one of these is a STOP, whatever follows; the exceptions are ARRET_OF and NOUNS."""

STOP_PREFIXES: Final = _words("desabo dessabo dezabo desinscri desinscrp desincri dessinscri unsub unsusc")
"""A reply whose first word begins so is a STOP: the families of `désabonner` and `désinscrire`, however they end."""

STOP_ALONE: Final = (
    *_words("fin quit end revoke quitter exit assez basta baja alto parar pare para sair"),
    *("ca suffit", "sa suffit"),
    # Typing errors of STOP: neighbours on AZERTY and QWERTY, letters that changed places, are doubled or left out. Not
    # `stp`, which is "please", nor `shop`, `step`, `top`.
    *_words("stpo sotp tsop sto stio stip stoo stol stom stpp stkp stlp srop syop sfop sgop dtop atop qtop ztop xtop"),
    *_words("stiop stoip stopo stpop stoup sotop dstop stopm stopl stopi st0p 5top"),
    *("st op", "sto p", "s top"),
    # And of ARRET and DESABO.
    *_words("arert arrt artet aeret arrer arreet desbo desab dsabo desbonner dsabonner"),
)
"""Means STOP only as the whole reply, beside greetings and thanks: `Fin`, but not `Fin de l'histoire`."""

GLUED: Final = _words(
    "au a sms pub pubs publicite all svp stp merci spam promo mail message messages msg texto envoi now please tout"
    " ok stop"
)
"""What people write behind STOP without a blank: `STOPau36180`, `STOPALL`."""

LEADING: Final = frozenset(
    _words("bonjour bonsoir bjr bsr slt salut hello hi coucou madame monsieur messieurs mesdames mme mr merci svp stp")
    + _words("please pls plz ok oki bon alors donc mais et oh ah eh")
)
"""What may stand before the word that a reply begins with."""

POLITE: Final = LEADING | frozenset(
    _words("thanks thank you cordialement cdt cdlt bonne journee soiree d avance s il vous te plait plais maintenant")
    + _words("immediatement definitivement now tout de suite urgent hein la aussi sms au a")
    + _words("gracias por favor obrigado obrigada bitte danke grazie من فضلك شكرا")
)
"""Words beside which a word of STOP_ALONE, or of START, is still the whole reply."""

_ADS = _words(
    "sms pub pubs publicite publicites publicitaire publicitaires message messages msg msgs mess texto textos envoi"
    " envois spam spams mail mails newsletter newsletters notification notifications notif notifs demarchage"
    " demarchages sollicitation sollicitations harcelement prospection mailing"
)
_MORE_OBJECTS = _words(
    "text texte textes promo promos promotion promotions abonnement abonnements campagne campagnes info infos"
    " information informations offre offres alerte alertes relance relances reception diffusion marketing commercial"
    " commerciale commerciaux commerciales inscription conneries betises merdes"
)
OBJECTS: Final = frozenset(_ADS + _MORE_OBJECTS)
"""What one asks to stop. `Arrêt des SMS` is a STOP, `Arrêt de bus` is not."""

_AD = f"(?:{'|'.join(_ADS)})"  # what nobody wants more of; `plus d'infos` is a wish for some
_THING = f"(?:{'|'.join((*_ADS, *_MORE_OBJECTS))})"
_VERB = (
    r"(?:envo[iy]|ecri|contact|harcel|spam|derang|sollicit|solicit|appel|relanc|telephon|embet|emmerd|demarch|text|mess)"
    r"\w*"
)
_WRITE = r"(?:envo[iy]|ecri|harcel|spam|derang|sollicit|solicit|embet|emmerd|demarch|text)\w*"
_WANT = r"\b(?:veux|veut|veu|vx|voudrai\w*|souhait\w+|desir\w+|aimerai\w*)"
_ME = r"(?:moi|nous)(?! (?:un|une|le|les|ce|cet|cette|du|des|vite|au)\b)"
_MY = (
    r"(?:mon|mes|ce|notre|mn)"
    r" (?:numero|numeros|num|no|nr|tel|telephone|portable|port|mobile|coordonnees|nom|contact|donnees)\b"
)
_REMOVE = (
    r"(?<!\bai )\b(?:retir|enlev|suppr?im|suprim|effac|desactiv|blacklist|dereferenc|ray(?=e)|sort(?=ez|ir)|ot(?=e)"
    r"|vir(?=e))\w*"
)
_END = r"(?: (?:svp|stp|merci|please|pls|du tout))*$"
_ARRETER = r"arr?ett?(?:s|e|es|er|ez|ee)?"

ARRET_OF: Final = rf"{_ARRETER} (?:de|du|des|d|sur|a|au|aux|le|la|l|les|un|une|mon|ma|mes|ce|cet|cette|toi|vous)\b"
"""`arrêt`, `arrêtez` and their like with something behind them: then it has to be ARRET_OF_MESSAGES."""

ARRET_OF_MESSAGES: Final = rf"{_ARRETER} (?:\w+ ){{0,5}}?(?:{_THING}|{_VERB}|me|m|nous|tout|ca)\b"

NOUNS: Final = (
    r"arrets? (?:bus|tram\w*|metro|train|car|rer|gare|navette|maladie|cardiaque|minute|medical|travail|facultatif)",
    r"arret demande",
    r"arretes? (?:prefectoral|municipal|ministeriel|royal)",
    r"stop (?:and go|ou encore|loss|over)",
)
"""A word of STOP that is a noun here: no STOP, and shown as a near miss."""

DEMANDS: Final = (
    # "Ne m'envoyez plus rien", "merci de ne plus m'écrire", "ne m'envoyez pas de pub"
    rf"\b(?:ne|n) (?:(?:me|m|nous|rien) )?{_VERB} plus(?! (?:tard|tot|vite|souvent|loin)\b)",
    rf"\b(?:ne|n) (?:(?:me|m|nous) )?{_WRITE} pas (?:\w+ ){{0,2}}?{_AD}\b",
    rf"\bne plus (?:jamais )?(?:(?:me|m|nous) )?{_VERB}",
    rf"(?<!pouvez )(?<!pourrez )(?<!peux )(?<!peut )(?<!pourra )\bplus (?:jamais )?(?:me|m|nous) {_VERB}",
    r"\bne (?:plus|pas) (?:rien )?recevoir (?:\w+ ){0,3}?" + _AD + r"\b",
    r"\bne plus (?:rien )?recevoir" + _END,
    # "Je ne veux plus de SMS", "souhaite plus être contacté"
    rf"{_WANT} (?:pas|plus) (?:\w+ ){{0,4}}?{_AD}\b",
    rf"{_WANT} (?:plus|plus rien|rien) (?:rien )?(?:recevoir|resevoir)(?: rien| ca| cela| de vous)?{_END}",
    rf"{_WANT} plus (?:jamais )?etres? (?:contact|sollicit|solicit|harcel|derang|spam|relanc|demarch)\w*",
    rf"{_WANT} (?:plus|pas) (?:que vous )?(?:me |m ){_WRITE}",
    rf"\b(?:recevoir|resevoir|recoive) plus (?:\w+ ){{0,3}}?(?:{_AD}|rien)\b",
    rf"^(?:plus|assez|marre|halte|fini) (?:de |d |a |au |aux |les |la |le |avec |vos )+(?:\w+ ){{0,2}}?{_AD}\b",
    rf"^pas de (?:pubs?|publicites?|spams?|demarchage)\b|^pas de {_AD}{_END}",
    rf"^(?:no|zero|plus aucun\w*|aucun\w*) {_AD}{_END}",
    # "Arrêtez de m'envoyer", "pouvez-vous arrêter ces SMS", "faites cesser"
    r"\barr?ett?(?:e|es|er|ez)"
    r" (?:avec |vos |votre |tes |ton |ces |ce |cet |cette |les |de |d |la |le |l |tous |toutes |m |me )+"
    rf"(?:\w+ ){{0,4}}?(?:{_THING}|{_WRITE})\b",
    r"\b(?:faire|faites|fais) (?:cesser|stopper|arreter)\b",
    r"\b(?:cesse[zr]?|stopp?e[zr]) (?:de |d |vos |ces |les |tous |cet |l |la )+"
    rf"(?:\w+ ){{0,3}}?(?:{_THING}|{_VERB})\b",
    # "Retirez-moi de vos listes", "supprimez mon numéro", "laissez-moi tranquille"
    rf"{_REMOVE} (?:{_ME}|{_MY})",
    r"\b(?:me|m|nous) (?:retirer|enlever|supprimer|suprimer|effacer|rayer|sortir|oter|virer|blacklister) d",
    rf"\b(?:retrait|suppression|effacement) de {_MY}",
    r"\b(?:laiss\w+|fichez|foutez|fiche|fous|lach\w+) (?:moi|nous|mwa)(?: (?:tranquil\w*|en paix|la paix|un peu))?$",
    r"\b(?:laiss\w+|fichez|foutez|fiche|fous) (?:moi|nous) (?:tranquil\w*|en paix|la paix)\b",
    r"\bme (?:laisser|foutre|ficher) (?:tranquil\w*|la paix|en paix)\b",
    # "Comment me désabonner", "je veux être désinscrit"; see NOT_DEMANDED
    r"\b(?:desabonn?e[rz]|desabonne moi|desabonn?ement)\b",
    r"\b(?:desinscri(?:re|vez|s moi|t moi|ption)|desincri(?:re|vez|ption))\b",
    rf"(?:{_WANT}|\bdemande|\bmerci d) (?:a |l |d )?etre"
    r" (?:desabonn|desinscri|desincri|retire|enleve|supprime|raye)\w*",
    r"\b(?:arrive|arrives|reussi\w*|peux|parvien\w*) (?:pas|plus) a (?:me |m )?(?:desabonn|desinscri|desincri)\w*",
    # "J'ai déjà envoyé STOP"
    r"\b(?:redit|dit|dis|dire|envoye|envoi|mis|mets|fait|fais|repondu|reponds|ecrit|ecris|tape|demande|repete|marque)"
    r" (?:(?:deja|encore|bien) )?stop\b",
    # English
    r"\b(?:leave me alone|remove me|remove my number|take me off|opt me out|opt out)\b",
    r"\bno more (?:sms|texts?|messages?)\b",
    r"\b(?:don ?t|do not|stop) (?:(?:send|sending|message) (?:me|us)|text|texting|contact|contacting|spam)\b",
    # Spanish, Portuguese
    r"\bno (?:quiero|deseo)(?: recibir)? mas\b",
    r"\b(?:darme|darse|deme|dame|denme|dar) de baja\b",
    r"\bno me (?:envi|escrib|mand|contact|llam)\w* mas\b",
    r"\bnao (?:quero|desejo)(?: receber)? mais\b",
    r"\bnao (?:me )?(?:envi|mand|contact|lig)\w* mais\b",
    r"\b(?:remov|retir|apag)\w* (?:o )?meu (?:numero|contacto|contato)\b",
    r"\bpare(?:m)? de (?:me )?(?:envi|mand|contact|lig)\w*",
    # Italian, German, Dutch
    r"\bnon voglio piu\b",
    r"\bbasta (?:sms|messaggi|pubblicita)\b",
    r"\bkeine? (?:sms|nachrichten|werbung) mehr\b",
    r"\bgeen (?:sms|berichten|reclame) meer\b",
    # Arabic: "do not send", "I want no messages", "cancel the subscription"
    "لا ترسل",
    "لا اريد رسائل",
    "الغاء الاشتراك",
    "الغ الاشتراك",
)
"""Sentences that ask for silence wherever they stand in a reply."""

NOT_DEMANDED: Final = (
    r"\b(?:ne|n|pas|jamais|surtout|sans|pourquoi|deja)"
    r"(?: (?:me|m|nous|le|la|de|vous|a|ai|suis|ete|etre|etait)){0,4} (?:desabon|desinscri|desincri)"
)
"""A denial before `désabonner`: `ne me désabonnez pas`, `pourquoi suis-je désabonné`."""
STILL_DEMANDED: Final = r"\b(?:arrive|arrives|reussi\w*|peux|parvien\w*|marche) (?:pas|plus)\b|\bpourquoi (?:je )?ne\b"

LAST_WORDS: Final = frozenset(_words("stop stopp stopsms stoppez stopez stopper unsubscribe desabo desabonnement"))
"""A reply that ends with one of these is a STOP: `Je ne veux plus de sms, stop`."""
NOT_BEFORE_LAST: Final = frozenset(
    _words("au aux un une le la les l du ce cet ces non sans pas dernier prochain premier panneau feu auto the a an")
    + _words("next bus full one mon ton son chaque en tapis ne jamais ni can t cant won wont")
)
"""Behind one of these it is a thing, or denied: `au prochain stop`, `non stop`."""

REACTIONS: Final = (
    *("a aime ", "a adore ", "a ri ", "a rigole ", "a reagi ", "a souligne ", "a mis ", "n a pas aime ", "a insiste "),
    *("a ajoute ", "a supprime ", "liked ", "loved ", "laughed at ", "emphasized ", "disliked ", "questioned "),
    *("reacted ", "removed a "),
)
"""How phones write a reaction, with a quotation behind it: of our own message, with its STOP mention."""

NEAR: Final = (
    r"stop|stpo|sotp|\barr?ett?\w*|desab|desinsc|desincr|unsub|\bspams?\b|harcel|interess|\bannul|\bcancel|\b33700\b"
    r"|\bcnil\b|\brgpd\b|arnaque|blacklist|bloqu|plainte|tranquil|\bmarre\b|\bpubs?\b|publicit|\bfin\b|\bquitter\b"
    r"|\bsupprim|\bretire|\benlev|resili|\bca suffit|\bplus (?:\w+ ){0,2}(?:sms|messages?|textos?)\b|\bnon merci\b"
    r"|tromp\w* de numero|mauvais numero|wrong number|\bfuck\b|\bmerde\b|\bta gueule\b"
)
"""What is no STOP but may have been meant as one; such a reply is shown so."""
NEAR_SIGNS: Final = "🛑🚫⛔✋🤚🖕"

START_WORDS: Final = _words("start restart reprise reprendre unstop reabonner reabonnement resubscribe")
"""Take a STOP back, as the whole reply only: a wrong START would undo somebody's STOP."""
