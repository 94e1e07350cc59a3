"""What subscribers write: which replies are a STOP, which are near misses, which are neither.

The table is the rule. Accents, case, blanks and typing errors are those of real replies.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chappe.core import stop_replies
from chappe.core.folding import fold
from chappe.core.stop_replies import Reading, WordError, Words, check_words
from chappe.core.stop_words import DEMANDS, START_WORDS, STOP_ALONE, STOP_WORDS

STOPS = """
STOP
stop
Stop
 STOP
STOP!
STOP.
STOP !!!
...stop
«STOP»
"stop"
'stop'
’stop’
(STOP)
🛑 stop
stop🙏
STOP 🤬🤬
S.T.O.P
S T O P
s t o p merci
S-T-O-P
ＳＴＯＰ
𝗦𝗧𝗢𝗣
СТОП
Stop svp
Stop merci
Stop please
Stop stp
STOP SMS
StopSMS
STOP PUB
stop-pub
stop pub merci
STOP 36180
STOP36180
STOP au 36180
STOPau36180
STOP 36 180
36180 STOP
STOPALL
STOP ALL
stopmerci
Stopsvp
Stop m'écrire
Stop à tous vos messages
Stop à la pub
Stop aux sms
stop spam
Stop tout
Stop ça suffit
Stop, je ne suis pas intéressé
Stop je suis pas client chez vous
Stop  stop stop
stop stop stop!!!
STOPSTOP STOP
Stop mr
Bonjour stop
Bonjour, stop
Bonjour, STOP merci
bjr stop svp
Salut stop
Merci stop
Ok stop
Svp stop
STPO
stpo
Sotp
Tsop
STOPP
STOOP
STTOP
Stoooop
stoppp
sstop
Stip
Stio
Dtop
St0p
sto
st op
Stpo svp
Stope
Stopper
Stoppé
Stoppez
STOPPEZ
Stoppez tout
stopez
Stoppez vos sms
ARRET
Arret
arret
Arrêt
ARRÊT
arrét
arrèt
Aret
Arrett
arreˆt
arre^t
arrêt svp
ARRÊT SMS
Arrêt des SMS
Arrêt des messages
arret de la pub
Arrêt de vos envois svp
Arrêt publicité
Arrête
arrête
arrete
Arrêtes
Arrêtez
arretez
Arretter
Arrete stp
Arrêtez svp
Arrêter
Arrête de m'écrire
Arrêtes de m’envoyer des messages
Arrêtez de m'envoyer des sms
Arretez de me harceler
Arrêtez vos pubs
Arrêtez vos conneries
Arrêtez les messages
Arrêtez ça
arretez tout
arrétez de me contacter
Arrêtez avec vos promos
Merci d'arrêter de m'envoyer des messages
Pouvez-vous arrêter ces sms svp
Vous pouvez arrêter de m'envoyer des pub ?
Il faut arrêter de m'envoyer ça
Faites cesser ces messages
Cessez de m'écrire
Désabo
DESABO
Désabonne
désabonne
Désabonné
Désabonnement
Desabonement
désabonner
Désabonnez-moi
desabonne moi
Dezabo
me désabonner
Je veux me désabonner
Je souhaite me désabonner de vos sms
Comment se désabonner ?
comment me desabonner
Merci de me désabonner
Veuillez me désabonner
Demande de désabonnement
Je n'arrive pas à me désabonner
J'ai pas réussi à me désabonner
Désinscription
DESINSCRIPTION
Désinscrire
désinscris
Désinscrivez moi
désincription
Desincrire
Merci de me désinscrire de votre liste
Je veux être désinscrit
je souhaiterais être désinscrite
Je désire ne plus recevoir vos messages
unsubscribe
Unsubcribe
unsub
Unsubscribe me please
OPTOUT
Opt out
NOPUB STOP
NoPub
No pub
Fin
FIN
fin svp
QUIT
END
Quitter
Assez
Assez !!
Ça suffit
Ça suffit, stop
Basta
Je ne veux plus de sms, stop
Je ne veux plus de sms
Je ne veux plus de vos messages
je veux plus de sms
Je veux plus recevoir de pub
Je ne souhaite plus recevoir vos sms
Je souhaite ne plus recevoir de messages
Je ne souhaite plus être contacté par vos services
je ne veux pas recevoir de publicité
J veux plus de message
Je ne veux plus rien recevoir
Merci de ne plus m'envoyer de sms
Merci de ne plus me contacter
merci de ne plus m’écrire
Ne m'envoyez plus de messages
Ne m envoyez plus rien
N'envoyez plus de sms
Ne m'écrivez plus
Ne me contactez plus
ne plus me contacter
ne plus recevoir
Ne plus m'envoyer de pub
Ne m'appelez plus
Plus de sms
Plus de pub svp
plus de messages merci
Pas de pub
Pas de pub svp
Assez de pub
Marre de vos sms
Halte aux spams
Retirez-moi de votre liste
Retirez moi de vos fichiers
Enlevez mon numéro
Enlevez moi de votre liste svp
Supprimez mon numéro
Supprimer mon numéro de votre liste
merci de supprimer mon num
Effacez mes coordonnées
Veuillez me retirer de votre base
Merci de retirer mon numéro
Rayez-moi de vos listes
Blacklistez moi
Laissez-moi tranquille
Laissez moi
Foutez moi la paix
fichez moi la paix !!!
Lâchez moi
J'ai déjà envoyé STOP
j'ai dit stop
Je vous ai dit stop plusieurs fois
3 fois que je fais stop
Je répète STOP
Vous n'avez pas compris STOP
je bloque le numéro, stop
Remove me
Remove my number
Take me off your list
No more texts please
Stop texting me
Don't text me
Do not contact me
Leave me alone
I want you to stop
Baja
BAJA
Dar de baja
Quiero darme de baja
No quiero mas mensajes
No quiero recibir más
no me envien mas
Parar
SAIR
Não quero receber mais
não me envie mais mensagens
Pare de me mandar sms
Basta sms
Abmelden
Stopp
stopp bitte
Afmelden
قف
توقف
أوقف
إيقاف
الغاء الاشتراك
لا ترسلوا لي رسائل
כ הסר stop
""".strip("\n").splitlines()

NEAR = """
Arrêt de bus 8h
arrêt du bus à 8h
Arrêt maladie
Arrêt de travail jusqu'à lundi
arret tram place Bellecour
Je suis à l'arrêt de bus
Arrêtez-vous devant la porte
Arrête-toi au portail bleu
Arrêter le traitement ?
Arrêté préfectoral du 12 mai
Je descends au stop
Au prochain stop à gauche
Ouvert non stop ?
non-stop
Ne stoppez pas
Surtout pas stop
Pourquoi suis-je désabonné ?
Je suis désabonné par erreur
Ne me désabonnez pas
Je ne veux pas me désabonner
Annuler
Annuler mon rdv
Cancel
À la fin du mois je passe
Enlevez-moi un doute
J'ai enlevé mon nom de la boîte aux lettres
Arrêtez la livraison svp
Merci de supprimer ma commande
annulez ma commande
Supprimez ma carte
Non c'est pas moi, bloquez tout
Oui mais arrêtez de changer l'heure
Pouvez-vous arrêter le chantier ?
Je souhaite arrêter mon abonnement internet
Non merci
Pas intéressé
Je ne suis pas intéressée
spam
Arnaque !
Signalé au 33700
Je vais porter plainte
Fin de l'histoire
La fin du contrat est quand ?
Stopover à Lyon
autostop
C'est de la pub ?
Marre
Je bloque
Résilier mon abonnement box
Ça suffit pour ce mois-ci ?
Vous vous êtes trompé de numéro
Je n'ai plus de forfait sms
Je ne reçois plus vos messages
🛑
🖕🖕
""".strip("\n").splitlines()

RESPONSES = """
Oui
OUI
oui merci
Non
Ok
OK merci
d'accord
1
2
12h30
Oui je confirme
Je confirme le rdv de 14h
Merci beaucoup
Merci !
Bonjour, à quelle heure ?
Qui êtes-vous ?
C'est qui ?
Bien reçu
Parfait à demain
Je serai en retard de 10 min
Je prends la taille 42
Pouvez-vous me rappeler ?
Je veux plus d'informations
Je voudrais recevoir le catalogue
Encore plus de choix ?
shop
step
Stéphane
Stock ?
STP
svp
Fini
Top
Ne m'envoyez pas la facture par mail
Je ne veux plus de rdv
Je ne souhaite plus ce produit
Laissez-moi un message
Veuillez ne pas tenir compte de mon message
Ne plus m'attendre
Pouvez-vous m'appeler plutôt que d'envoyer des messages ?
Plus d'infos svp
Plus de détails svp
Je veux plus d'offres comme ça
Je voudrais plus d'informations
Merci de m'envoyer plus de détails
Merci de me contacter plus tard
Envoyez-moi plus de détails
Appelez-moi plus tard
Ne m'appelez pas avant 14h
Je ne peux plus appeler de ce poste
Vous ne pourrez plus me contacter au bureau
Je ne veux pas recevoir ma commande lundi
Pas de souci
Don't send it today
J'ai fait une pause
Dur dur
Photo
La porte bleue au fond
Quel est le prix ?
Le code est 4521
C'est trop cher
Vous livrez le samedi ?
Je n'ai rien commandé
Réponse automatique : je suis en réunion
A aimé « Promo -20% STOP 36180 »
A réagi 👍 à « Soldes ce week-end STOP au 36180 »
Liked “Promo STOP 36111”
A ri de "Votre code est 1234 STOP 36111"
👍
🙏
❤️
شكرا
Gracias
""".strip("\n").splitlines()

STARTS = """
START
start
Start svp
START SMS
Start 36180
Reprise
«reprise»!
Bonjour, start
UNSTOP
restart
Réabonner
réabonnement svp
""".strip("\n").splitlines()


@pytest.mark.parametrize("reply", STOPS)
def test_it_is_a_stop(reply: str) -> None:
    assert Words().read(reply) == Reading("stop")


@pytest.mark.parametrize("reply", NEAR)
def test_it_is_none_and_shown_as_a_near_miss(reply: str) -> None:
    assert Words().read(reply) == Reading("response", near=True)


@pytest.mark.parametrize("reply", RESPONSES)
def test_it_is_an_answer_like_any_other(reply: str) -> None:
    assert Words().read(reply) == Reading("response")


@pytest.mark.parametrize("reply", STARTS)
def test_it_takes_a_stop_back(reply: str) -> None:
    assert Words().read(reply) == Reading("start")


@pytest.mark.parametrize(
    "reply", ["Reprise des cours lundi", "Start-up ou grande entreprise ?", "start when?", "La reprise", "Redémarrage"]
)
def test_a_start_is_the_whole_reply_since_a_wrong_one_undoes_a_stop(reply: str) -> None:
    assert Words().kind(reply) == "response"


def test_the_table_is_large_and_each_reply_has_one_answer() -> None:
    every = [*STOPS, *NEAR, *RESPONSES, *STARTS]
    assert len(every) >= 150
    assert len(every) == len(set(every))


@given(st.text(), st.text(st.sampled_from(" \"'«.!-🙏")))
def test_what_stands_before_and_after_the_word_does_not_matter(after: str, before: str) -> None:
    if not fold(after).startswith(("and go", "ou encore", "loss", "over")):
        assert Words().kind(f"{before}stop {after}") == "stop"


@given(st.text())
def test_any_text_has_one_reading(text: str) -> None:
    found = Words().read(text)
    assert found.kind in ("stop", "start", "response")
    assert not (found.near and found.kind != "response")


def test_a_reply_of_ten_parts_is_read_as_far_as_it_matters() -> None:
    assert Words().kind("bla " * 400 + "stop") == "response"
    assert Words().kind("stop " + "bla " * 400) == "stop"


@pytest.mark.parametrize("sentence", ["a " * 300, "plus " * 120, "ne me " * 100, "arretez de " * 60, "veux plus " * 60])
def test_no_reply_takes_long(sentence: str) -> None:
    """The patterns are bounded: the longest reply is read in milliseconds."""
    Words().read(sentence)  # the suite's timeout is the measure


class TestOwnWords:
    @pytest.mark.parametrize(
        ("words", "text", "kind"),
        [
            (Words(), "STOP", "stop"),
            (Words(), "Reprise svp", "start"),
            (Words(), "plus rien", "response"),
            (Words(("histoire",)), "Histoire de dire", "stop"),
            (Words(("plus rien",)), "Plus, rien !", "stop"),
            (Words(("plus rien",)), "Plus tard", "response"),
            (Words(("cancel",)), "Bonjour, cancel", "stop"),
            (Words(("fin",)), "arrêt", "stop"),
            (Words((), ("encore",)), "Encore 1", "start"),
            (Words((), ("encore",)), "Encore une question", "response"),
            (Words((), ("encore",)), "start", "start"),
            (Words(("fin",)).with_(("chut",), ("encore",)), "chut", "stop"),
            (Words(("cancel",)).with_(("chut",), ("encore",)), "cancel", "stop"),
        ],
    )
    def test_they_are_understood_beside_the_usual_ones(self, words: Words, text: str, kind: str) -> None:
        assert words.kind(text) == kind

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("STOP", "stop"),
            ("Arrêtez de m'envoyer des sms", "stop"),
            ("désabonnez moi", "stop"),
            ("Arrêt de bus 8h", "response"),
            ("Fin", "response"),
            ("stpo", "response"),
            ("Bonjour, stop", "response"),
            ("Je ne veux plus de sms, stop", "response"),
            ("chut", "stop"),
        ],
    )
    def test_without_sentences_only_the_first_word_counts(self, text: str, kind: str) -> None:
        assert Words(("chut",), (), sentences=False).kind(text) == kind
        assert Words().with_(("chut",), (), sentences=False).kind(text) == kind

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (Words(("!!",)), "no word"),
            (Words(("x",)), "no word"),
            (Words(("12",)), "no word"),
            (Words(("a" * 41,)), "no word"),
            (Words(("un deux trois quatre cinq",)), "too much"),
            (Words(("2 fin",)), "begins with a number"),
            (Words(("start",)), "STOP and START"),
            (Words(("Encore!",), ("encore",)), "STOP and START"),
            (Words((), ("stop plus",)), "read as STOP"),
            (Words((), ("Désabo",)), "read as STOP"),
            (Words(("chut",), ("chut chut",)), "read as STOP"),
            (Words(tuple(f"mot{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(51))), "more than 50"),
        ],
    )
    def test_words_that_could_not_be_told_apart_are_refused(self, words: Words, complaint: str) -> None:
        with pytest.raises(WordError, match=complaint):
            check_words(words)

    def test_usual_words_and_reasonable_ones_are_taken(self) -> None:
        words = Words((*STOP_WORDS[:20], "Fin", "plus rien", "Ça suffit"), (*START_WORDS, "encore"))
        assert check_words(words) == words


def test_the_data_is_folded_and_says_each_thing_once() -> None:
    for entries in (STOP_WORDS, STOP_ALONE, START_WORDS):
        assert len(entries) == len(set(entries))
        assert all(fold(entry) == entry for entry in entries)
    assert len(DEMANDS) == len(set(DEMANDS))
    assert stop_replies.CHARACTERS_MAX >= 459  # three parts
