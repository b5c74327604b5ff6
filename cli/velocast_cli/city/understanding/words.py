"""Words by which headings and values are recognised, in the languages of cities that were seen and their neighbours.

Words only suggest. What can be counted in the file (sums, doubles, numbers in a day) decides.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PARTS = re.compile(r"[a-z]+|\d+")
_COMPOUND = re.compile(
    r"^(site|direction|lane|traffic|flow|location|station|sensor|counter|travel|time|date|device|detector|channel|values?)"
    r"(ids?|code|name|type|mode|from|to|nr|number|time|approved|edited)$"
)


@lru_cache(maxsize=10_000)
def tokens(text: str) -> tuple[str, ...]:
    """Return the words and numbers of a heading: lower case, without accents (`VeloIn süd` -> velo, in, sud)."""
    spaced = _CAMEL.sub(" ", text.replace("ß", "ss").replace("ł", "l").replace("ø", "o"))
    plain = unicodedata.normalize("NFKD", spaced)
    found = _PARTS.findall("".join(c for c in plain if not unicodedata.combining(c)).casefold())
    return tuple(part for word in found for part in _halves(word))


def _halves(word: str) -> tuple[str, ...]:
    match = _COMPOUND.match(word)
    return match.groups() if match else (word,)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BIKES = _words(
    "bike bikes biking bicycle bicycles cycle cycles cyclist cyclists cycling cycliste cyclistes velo velos rad "
    "raeder rader fiets fietsen fietser fietsers bici bicis bicicleta bicicletas bicicletta biciclette biciclete "
    "ciclista ciclistas ciclisti ciclo ciclos cykel cyklar cykler cyklister cyklist sykkel sykler syklist "
    "syklister rower rowery rowerow rowerzysta rowerzysci kolo kola cyklo cykliste cyklista kerekpar bisiklet "
    "bicikl kolesar kolesarji pyora pyorat pyoraily velosiped velobrukare vae ebike ebikes pedelec rf radf"
)
_BIKE_STEMS = ("fahrrad", "radfahr", "radverkehr", "bicycl", "pyorail", "kerekpar", "veloverkehr")
OTHER_MODES = _words(
    "car cars auto autos kfz pkw lkw motor voiture voitures truck trucks lorry bus buses camion camions coche "
    "coches carro carros vehicle vehicles vehiculo vehiculos veicoli veicolo bil biler bilar lastbil samochod "
    "samochody motorcycle motorcycles moto motos motorrad motorized motorised motorvoertuig auta vozidla miv "
    "vehicule vehicules hgv lgv mofa scooter scooters escooter trottinette trottinettes edp skater skaters inline "
    "pedestrian pedestrians ped peds fuss fussganger fussgaenger fusganger pieton pietons walker walkers people "
    "foot footfall voetganger voetgangers peaton peatones pedone pedoni pedao peoes fotgangare gaende fotgjenger "
    "fotgaengere pieszy piesi piesze chodci chodec gyalogos jalankulkija jalankulkijat kavely horse horses pferde "
    "other andere autres unknown"
)
_OTHER_STEMS = ("fussgang", "fussgaeng", "pedestr", "kraftfahr", "motorrad", "motorfahr", "auto")
DIRECTIONS = _words(
    "north south east west n s e w o nb sb eb wb ne nw se sw northbound southbound eastbound westbound in out "
    "inbound outbound ein aus einwarts einwaerts auswarts auswaerts stadteinwarts stadtauswarts stadteinwaerts "
    "stadtauswaerts hin zuruck ruck richtung r1 r2 d1 d2 ri nord sud sued ost est ouest norte sur este oeste "
    "oriente poniente syd vast oster vaster norr soder noord zuid oost ovest entrada salida ida vuelta entrante "
    "saliente entrata uscita entree sortie entrant sortant aller retour vers sens direction direccion direzione "
    "riktning retning richting suunta kierunek smer irany dir links rechts left right gauche droite heen terug "
    "into ut inn ind ud inngaende utgaende inkommande ingang uitgang inkomend uitgaand polnoc poludnie wschod "
    "zachod sever jih vychod zapad eszak kelet nyugat pohjoinen etela ita lansi centre center centrum centro city "
    "stadt towards toward from to do z be ki befele kifele channel channels kanal kanaal canal lane lanes "
    "fahrspur spur voie side sidewalk tam zpet dovnitr ven sisaan ulos keskustaan keskustasta a b"
)
TOTALS = _words(
    "total totals totaal totale totali totaux gesamt gesamtzahl insgesamt summe sum somme suma all alle ensemble "
    "overall combined both beide beiden razem lacznie celkem spolu osszesen yhteensa samtliga totalt sammanlagt "
    "ialt samlet querschnitt zusammen tous toutes todos tutti skupaj ukupno toplam"
)
STATUS = _words(
    "status state statut etat quality qualite qualitat qualitaet kvalitet kvalita calidad qualita kwaliteit "
    "qualidade flag flags valid validity validite validation anomalie anomalies anomaly plausibilitat gultig "
    "fiabilite stav jakosc zustand estado approved edited valuesapproved valuesedited"
)
GOOD = _words(
    "ok good valid valide valides gultig raw approved validated fonctionnel normal normale gut true yes oui ja "
    "bon 0 plausibel bueno valido goed dobry"
)
INCOMPLETE = _words("incomplete partial partiel incomplet unvollstandig incompleto onvolledig")
CORRECTED = _words(
    "corrected correction korrigiert korrektur corrige corrigee corrigido corregido adjusted bereinigt "
    "gecorrigeerd imputed redresse edited"
)
FACTORS = _words("factor factors faktor facteur coefficient koeffizient korrekturfaktor factoren")
START = _words("start from begin beginn von ab debut inicio desde od van fra")
END = _words("end ende ended to bis until till fin hasta tot slut koniec konec finish")
TIMES = _words(
    "date datum time datetime timestamp times heure hour uhrzeit zeit zeitpunkt zeitstempel jour dia fecha hora "
    "data ora tijd tijdstip dato tid aika pvm czas cas ts day horodatage moment period when zaehlzeit"
)
NOT_THE_TIME = _words(
    "installed installation install updated update modified created import imported published inserted mise "
    "opening eroffnung commissioned upload uploaded edit loaded mois_annee"
)
UTC_WORDS = _words("utc gmt zulu")
IDS = _words(
    "id ids identifier identifiant identifikator code nr no num number numero nummer key fk cle kennung uuid ref"
)
SURE_IDS = IDS - _words("no num number numero nr")  # "number of bikes" is a count
NAMES = _words(
    "name nom names bezeichnung libelle label nombre title titel naam navn namn nazwa nazev nome beschreibung "
    "description standortname"
)
COUNTERS = _words(
    "counter counters compteur compteurs zahler zaehler zahlstelle zaehlstelle zahlstellen zaehlstellen zst "
    "sensor sensors device devices boucle loop detector detecteur telpunt teller contador estacion station "
    "stations standort location locations punkt point totem maalepunkt matpunkt licznik pomiar scitac dispositif"
)
SITES = _words(
    "site sites lieu place ort street strasse rue road standort adresse address messstelle"
)
COUNTS = (
    _words(
        "count counts counted volume volumes anzahl nombre nb passages passage comptage comptages zahl werte wert "
        "value values traffic trafic verkehr flows intensiteit intensidad intensite aantal antal antall cantidad "
        "conteo aforo conteggio passaggi liczba pocet menge hourly quantity riders trips debit result results sum vol "
        "n volumen trafik"
    )
    | TOTALS
    | BIKES
)
WEATHER = _words(
    "temp temperature temperatur rain rainfall regen niederschlag precip precipitation wind humidity bewolkung "
    "bewoelkung cloud clouds sonnenstunden sunshine pluie neige schnee snow wetter weather luftdruck visibility "
    "meteo celsius"
)
CALENDAR = _words(
    "year month day weekday week hour minute jahr monat tag wochentag woche stunde annee mois jour semaine heure "
    "ano mes dia weekend holiday feiertag ferien dow quarter saison season"
)
OTHER_NUMBERS = WEATHER | _words(
    "speed geschwindigkeit vitesse velocidad granularity battery percent prozent pourcentage share anteil ratio "
    "mean average median moyenne"
)
FILL = _words("min max avg mm cm km kmh h c f m s deg pct air of the in and und et num no nr")


def is_bike(text: str) -> bool:
    """Return whether a word for bicycles is among the words of a text."""
    return any(t in BIKES or t.startswith(_BIKE_STEMS) for t in tokens(text))


def is_other_mode(text: str) -> bool:
    """Return whether a word for cars, pedestrians or another mode is among the words, and none for bicycles."""
    return not is_bike(text) and any(
        t in OTHER_MODES or t.startswith(_OTHER_STEMS) for t in tokens(text)
    )


def has(text: str, words: frozenset[str]) -> bool:
    """Return whether one of `words` is among the words of a text."""
    return not words.isdisjoint(tokens(text))


def without(text: str, *words: frozenset[str]) -> tuple[str, ...]:
    """Return the words of a text that are in none of `words`; numbers of one digit are left out, too."""
    return tuple(
        t
        for t in tokens(text)
        if not any(t in group for group in words) and not (t.isdigit() and len(t) == 1)
    )


def only(text: str, words: frozenset[str]) -> bool:
    """Return whether a text says nothing but `words`, units and small words."""
    found = [t for t in tokens(text) if t not in FILL and not t.isdigit()]
    return bool(found) and all(t in words for t in found)
